/// Which pieces of a package somebody has: one bit a piece.
///
/// Public, like `Instant`, `PeerID` and the names of pieces, though nobody outside needs it: the
/// compiler takes nothing of a `package` type into another room, and every bit would cost a call.
public struct PieceSet: Hashable, Sendable {
  public let pieceCount: Int
  @usableFromInline var memberCount = 0
  @usableFromInline var words: [UInt64]

  @inlinable public var count: Int { memberCount }

  /// The empty set over a package of `pieceCount` pieces.
  package init(pieceCount: Int) {
    precondition((0...Geometry.pieceCountMax).contains(pieceCount), "a package has few pieces")
    self.pieceCount = pieceCount
    words = Array(repeating: 0, count: (pieceCount + 63) / 64)
  }

  /// The set whose words, the lowest pieces first, are those that `word` gives; bits beyond the
  /// last piece are left out.
  package init(pieceCount: Int, word: (Int) -> UInt64) {
    precondition((0...Geometry.pieceCountMax).contains(pieceCount), "a package has few pieces")
    self.pieceCount = pieceCount
    words = (0..<(pieceCount + 63) / 64).map { word($0) & Self.mask($0, pieceCount: pieceCount) }
    memberCount = words.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  package static func full(pieceCount: Int) -> PieceSet {
    PieceSet(pieceCount: pieceCount) { _ in ~0 }
  }

  @inlinable public var wordCount: Int { words.count }

  /// 64 pieces, the lowest in the lowest bit.
  @inlinable public func word(_ index: Int) -> UInt64 { words[index] }

  /// The bits of a word that stand for pieces.
  private static func mask(_ index: Int, pieceCount: Int) -> UInt64 {
    let rest = pieceCount - index * 64
    return rest >= 64 ? ~0 : (1 << UInt64(rest)) - 1
  }

  @inlinable public var isEmpty: Bool { count == 0 }
  @inlinable public var isFull: Bool { count == pieceCount }

  @inlinable
  public func contains(_ piece: PieceIndex) -> Bool {
    words[piece.rawValue >> 6] & (1 << UInt64(piece.rawValue & 63)) != 0
  }

  @inlinable
  public func contains(_ run: PieceRun) -> Bool { run.pieces.allSatisfy { contains($0) } }

  /// True when `piece` was new.
  @inlinable @discardableResult
  public mutating func insert(_ piece: PieceIndex) -> Bool {
    precondition(piece.rawValue < pieceCount, "the piece belongs to the package")
    let bit: UInt64 = 1 << UInt64(piece.rawValue & 63)
    guard words[piece.rawValue >> 6] & bit == 0 else { return false }
    words[piece.rawValue >> 6] |= bit
    memberCount += 1
    return true
  }

  @inlinable
  public mutating func insert(_ run: PieceRun) {
    for piece in run.pieces { insert(piece) }
  }

  /// True when `piece` was there.
  @inlinable @discardableResult
  public mutating func remove(_ piece: PieceIndex) -> Bool {
    precondition(piece.rawValue < pieceCount, "the piece belongs to the package")
    let bit: UInt64 = 1 << UInt64(piece.rawValue & 63)
    guard words[piece.rawValue >> 6] & bit != 0 else { return false }
    words[piece.rawValue >> 6] &= ~bit
    memberCount -= 1
    return true
  }

  @inlinable
  public mutating func remove(_ run: PieceRun) {
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

  // In place: a call would retain what both keep their bits in.
  @inlinable @inline(__always)
  public func isDisjoint(with other: PieceSet) -> Bool {
    precondition(pieceCount == other.pieceCount, "both sets belong to one package")
    for index in words.indices where words[index] & other.words[index] != 0 { return false }
    return true
  }

  /// The pieces that are not in the set.
  package var inverted: PieceSet { PieceSet(pieceCount: pieceCount) { ~words[$0] } }

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
  public func forEach(_ body: (PieceIndex) -> Void) {
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
    memberCount = 0
    for index in words.indices {
      words[index] = operation(words[index], other.words[index])
      memberCount += words[index].nonzeroBitCount
    }
  }
}

/// The bitmap as bytes: piece 0 is the high bit of the first byte, as in BEP 3.
extension PieceSet {
  package var bitmap: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: (pieceCount + 7) / 8) { bytes, count in
      for index in bytes.indices {
        let byte = UInt8(truncatingIfNeeded: words[index >> 3] >> UInt64((index & 7) * 8))
        bytes.initializeElement(at: index, to: byte.bitsReversed)
      }
      count = bytes.count
    }
  }

  /// Nil when the length is not that of `pieceCount` bits or a spare bit is set.
  package init?(bitmap: Span<UInt8>, pieceCount: Int) {
    guard (0...Geometry.pieceCountMax).contains(pieceCount), bitmap.count == (pieceCount + 7) / 8
    else { return nil }
    let spareBitCount = bitmap.count * 8 - pieceCount
    if spareBitCount > 0, bitmap[bitmap.count - 1] & ((1 << UInt8(spareBitCount)) - 1) != 0 {
      return nil
    }
    self.init(pieceCount: pieceCount) { wordIndex in
      var word: UInt64 = 0
      for index in wordIndex * 8..<min(wordIndex * 8 + 8, bitmap.count) {
        word |= UInt64(bitmap[index].bitsReversed) << UInt64((index & 7) * 8)
      }
      return word
    }
  }
}

extension UInt8 {
  fileprivate var bitsReversed: UInt8 {
    var bits = self
    bits = bits >> 4 | bits << 4
    bits = (bits & 0xcc) >> 2 | (bits & 0x33) << 2
    return (bits & 0xaa) >> 1 | (bits & 0x55) << 1
  }
}
