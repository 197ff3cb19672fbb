import Content

/// What each member holds. One with all pieces or none has no bitmap: seeds are many.
///
/// Invariant: a member has a bitmap exactly when it holds some pieces and lacks some, and then
/// `heldCount` is the number of its bits.
extension PackageTable {
  func isFull(_ index: Int) -> Bool { members[index].heldCount == pieceCount }

  func holds(_ piece: PieceIndex, at index: Int) -> Bool {
    word(piece.rawValue >> 6, at: index) & Self.bit(piece) != 0
  }

  func holds(_ run: PieceRun, at index: Int) -> Bool {
    run.indices.allSatisfy { holds(PieceIndex($0), at: index) }
  }

  /// 64 pieces of the member's, as in `PieceSet`.
  func word(_ wordIndex: Int, at index: Int) -> UInt64 {
    let bitmap = members[index].bitmap
    if bitmap != BitmapPool.none { return bitmaps.word(bitmap, wordIndex) }
    guard members[index].heldCount > 0 else { return 0 }
    let rest = pieceCount - wordIndex * 64
    return rest >= 64 ? ~0 : (1 << UInt64(rest)) - 1
  }

  /// A copy.
  func held(_ index: Int) -> PieceSet {
    PieceSet(pieceCount: pieceCount) { word($0, at: index) }
  }

  /// True when `piece` was new.
  mutating func insert(_ piece: PieceIndex, at index: Int) -> Bool {
    guard !holds(piece, at: index) else { return false }
    if members[index].bitmap == BitmapPool.none {
      members[index].bitmap = bitmaps.take { _ in 0 }
    }
    let bitmap = members[index].bitmap
    let wordIndex = piece.rawValue >> 6
    bitmaps.setWord(bitmap, wordIndex, bitmaps.word(bitmap, wordIndex) | Self.bit(piece))
    members[index].heldCount += 1
    if isFull(index) {
      dropBitmap(of: index)
      seedCount += 1
    }
    return true
  }

  /// True when `piece` was there.
  mutating func remove(_ piece: PieceIndex, at index: Int) -> Bool {
    guard holds(piece, at: index) else { return false }
    if members[index].bitmap == BitmapPool.none {
      let full = PieceSet.full(pieceCount: pieceCount)
      members[index].bitmap = bitmaps.take { full.word($0) }
      seedCount -= 1
    }
    let bitmap = members[index].bitmap
    let wordIndex = piece.rawValue >> 6
    bitmaps.setWord(bitmap, wordIndex, bitmaps.word(bitmap, wordIndex) & ~Self.bit(piece))
    members[index].heldCount -= 1
    if members[index].heldCount == 0 { dropBitmap(of: index) }
    return true
  }

  static func forEachPiece(
    of word: UInt64, _ wordIndex: Int, _ body: (PieceIndex) -> Void
  ) {
    var rest = word
    while rest != 0 {
      body(PieceIndex(wordIndex << 6 + rest.trailingZeroBitCount))
      rest &= rest - 1
    }
  }

  private mutating func dropBitmap(of index: Int) {
    bitmaps.giveBack(members[index].bitmap)
    members[index].bitmap = BitmapPool.none
  }

  private static func bit(_ piece: PieceIndex) -> UInt64 { 1 << UInt64(piece.rawValue & 63) }
}
