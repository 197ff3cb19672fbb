/// Which pieces of a package somebody has: one bit a piece.
package struct PieceSet: Hashable, Sendable {
  package let pieceCount: Int
  @usableFromInline package internal(set) var count = 0
  @usableFromInline var words: [UInt64]

  /// The empty set over a package of `pieceCount` pieces.
  package init(pieceCount: Int) {
    precondition((0...Geometry.pieceCountMax).contains(pieceCount), "a package has few pieces")
    self.pieceCount = pieceCount
    words = Array(repeating: 0, count: (pieceCount + 63) / 64)
  }

  package static func full(pieceCount: Int) -> PieceSet {
    var set = PieceSet(pieceCount: pieceCount)
    if pieceCount > 0 { set.insert(PieceRun(first: PieceIndex(0), count: pieceCount)) }
    return set
  }

  @inlinable package var isEmpty: Bool { count == 0 }
  @inlinable package var isFull: Bool { count == pieceCount }

  @inlinable
  package func contains(_ piece: PieceIndex) -> Bool {
    words[piece.rawValue >> 6] & (1 << UInt64(piece.rawValue & 63)) != 0
  }

  package func contains(_ run: PieceRun) -> Bool { run.pieces.allSatisfy { contains($0) } }

  /// True when `piece` was new.
  @inlinable @discardableResult
  package mutating func insert(_ piece: PieceIndex) -> Bool {
    precondition(piece.rawValue < pieceCount, "the piece belongs to the package")
    let bit: UInt64 = 1 << UInt64(piece.rawValue & 63)
    guard words[piece.rawValue >> 6] & bit == 0 else { return false }
    words[piece.rawValue >> 6] |= bit
    count += 1
    return true
  }

  package mutating func insert(_ run: PieceRun) {
    for piece in run.pieces { insert(piece) }
  }

  /// True when `piece` was there.
  @inlinable @discardableResult
  package mutating func remove(_ piece: PieceIndex) -> Bool {
    precondition(piece.rawValue < pieceCount, "the piece belongs to the package")
    let bit: UInt64 = 1 << UInt64(piece.rawValue & 63)
    guard words[piece.rawValue >> 6] & bit != 0 else { return false }
    words[piece.rawValue >> 6] &= ~bit
    count -= 1
    return true
  }

  package mutating func remove(_ run: PieceRun) {
    for piece in run.pieces { remove(piece) }
  }

  package mutating func formUnion(_ other: PieceSet) {
    combine(other) { $0 | $1 }
  }

  package mutating func subtract(_ other: PieceSet) {
    combine(other) { $0 & ~$1 }
  }

  package mutating func formIntersection(_ other: PieceSet) {
    combine(other) { $0 & $1 }
  }

  package func subtracting(_ other: PieceSet) -> PieceSet {
    var result = self
    result.subtract(other)
    return result
  }

  /// The pieces that are not in the set.
  package var inverted: PieceSet { PieceSet.full(pieceCount: pieceCount).subtracting(self) }

  /// The first member at or after `index`, nil when there is none.
  package func first(from index: Int) -> PieceIndex? {
    guard index < pieceCount else { return nil }
    var wordIndex = index >> 6
    var word = words[wordIndex] & (~0 << UInt64(index & 63))
    while word == 0 {
      wordIndex += 1
      guard wordIndex < words.count else { return nil }
      word = words[wordIndex]
    }
    return PieceIndex(wordIndex << 6 + word.trailingZeroBitCount)
  }

  /// Calls `body` with each member in ascending order.
  @inlinable
  package func forEach(_ body: (PieceIndex) -> Void) {
    for (wordIndex, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        body(PieceIndex(wordIndex << 6 + rest.trailingZeroBitCount))
        rest &= rest - 1
      }
    }
  }

  /// The members as maximal runs, ascending.
  package var runs: [PieceRun] {
    var runs: [PieceRun] = []
    var next = first(from: 0)
    while let start = next {
      var end = start.rawValue + 1
      while end < pieceCount, contains(PieceIndex(end)) { end += 1 }
      runs.append(PieceRun(first: start, count: end - start.rawValue))
      next = first(from: end)
    }
    return runs
  }

  /// The longest run from `first` whose members are all in the set, at most `countMax`; nil when
  /// `first` is not a member.
  package func run(from first: PieceIndex, countMax: Int) -> PieceRun? {
    var end = first.rawValue
    while end < pieceCount, end - first.rawValue < countMax, contains(PieceIndex(end)) { end += 1 }
    return end > first.rawValue ? PieceRun(first: first, count: end - first.rawValue) : nil
  }

  private mutating func combine(_ other: PieceSet, _ operation: (UInt64, UInt64) -> UInt64) {
    precondition(pieceCount == other.pieceCount, "both sets belong to one package")
    count = 0
    for index in words.indices {
      words[index] = operation(words[index], other.words[index])
      count += words[index].nonzeroBitCount
    }
  }
}

/// The bitmap as bytes: piece 0 is the high bit of the first byte, as in BEP 3.
extension PieceSet {
  package var bitmap: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: (pieceCount + 7) / 8)
    forEach { bytes[$0.rawValue >> 3] |= 0x80 >> UInt8($0.rawValue & 7) }
    return bytes
  }

  /// Nil when the length is not that of `pieceCount` bits or a spare bit is set.
  package init?(bitmap: Span<UInt8>, pieceCount: Int) {
    guard (0...Geometry.pieceCountMax).contains(pieceCount), bitmap.count == (pieceCount + 7) / 8
    else { return nil }
    self.init(pieceCount: pieceCount)
    for byteIndex in 0..<bitmap.count {
      for bit in 0..<8 where bitmap[byteIndex] & (0x80 >> UInt8(bit)) != 0 {
        guard byteIndex * 8 + bit < pieceCount else { return nil }
        insert(PieceIndex(byteIndex * 8 + bit))
      }
    }
  }
}
