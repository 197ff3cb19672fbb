import Content

/// The bitmaps of one package's members, each a number of words in a page shared by several:
/// without what an array of its own would cost each.
struct BitmapPool: Sendable {
  /// No bitmap.
  static let none = UInt32.max
  /// Bitmaps a page.
  private static let pageShift = 4

  private let wordCount: Int
  private var pages: [[UInt64]] = []
  private var free: [UInt32] = []
  private var count = 0

  init(pieceCount: Int) { wordCount = (pieceCount + 63) / 64 }

  func word(_ bitmap: UInt32, _ index: Int) -> UInt64 {
    pages[Int(bitmap) >> Self.pageShift][place(bitmap) + index]
  }

  mutating func setWord(_ bitmap: UInt32, _ index: Int, _ word: UInt64) {
    pages[Int(bitmap) >> Self.pageShift][place(bitmap) + index] = word
  }

  /// 0 where there is none.
  func likelyWord(_ bitmap: UInt32, _ index: Int) -> UInt64 {
    bitmap < count && index < wordCount ? word(bitmap, index) : 0
  }

  mutating func flip(_ bits: UInt64, of bitmap: UInt32, _ index: Int) {
    pages[Int(bitmap) >> Self.pageShift][place(bitmap) + index] ^= bits
  }

  /// One with all its words as given.
  mutating func take(_ word: (Int) -> UInt64) -> UInt32 {
    let bitmap: UInt32
    if let last = free.popLast() {
      bitmap = last
    } else {
      bitmap = UInt32(count)
      count += 1
      if Int(bitmap) >> Self.pageShift == pages.count {
        pages.append([])
        // The first page grows with what is in it: most packages have few members.
        if pages.count > 1 { pages[pages.count - 1].reserveCapacity(wordCount << Self.pageShift) }
      }
      for index in 0..<wordCount { pages[pages.count - 1].append(word(index)) }
      return bitmap
    }
    for index in 0..<wordCount { setWord(bitmap, index, word(index)) }
    return bitmap
  }

  mutating func giveBack(_ bitmap: UInt32) {
    free.append(bitmap)
    if free.count == count { self = BitmapPool(wordCount: wordCount) }
  }

  private init(wordCount: Int) { self.wordCount = wordCount }

  private func place(_ bitmap: UInt32) -> Int {
    (Int(bitmap) & ((1 << Self.pageShift) - 1)) * wordCount
  }
}
