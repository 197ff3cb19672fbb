/// The place of a piece in its package, from 0.
public struct PieceIndex: Hashable, Sendable, Comparable {
  public let rawValue: Int

  @inlinable
  public init(_ rawValue: Int) {
    precondition(rawValue >= 0, "a piece has a place from 0")
    self.rawValue = rawValue
  }

  @inlinable
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  @inlinable
  public static func == (left: Self, right: Self) -> Bool { left.rawValue == right.rawValue }
}

/// Consecutive pieces: at least one. What one request asks for, one lease grants.
public struct PieceRun: Hashable, Sendable {
  public let first: PieceIndex
  public let count: Int

  @inlinable
  public init(first: PieceIndex, count: Int) {
    precondition(count > 0, "a run has pieces")
    self.first = first
    self.count = count
  }

  @inlinable public init(_ piece: PieceIndex) { self.init(first: piece, count: 1) }

  @inlinable public var end: Int { first.rawValue + count }
  @inlinable public var last: PieceIndex { PieceIndex(end - 1) }
  @inlinable public var indices: Range<Int> { first.rawValue..<end }
  @inlinable public var pieces: some Sequence<PieceIndex> { indices.lazy.map { PieceIndex($0) } }

  @inlinable
  public func contains(_ piece: PieceIndex) -> Bool { indices.contains(piece.rawValue) }
}

/// How a package of a given size is cut: into blocks of 16 KiB, which the tree verifies, and into
/// pieces, a power of two of blocks each, which the have-bitmap counts.
///
/// The size alone decides, so two machines never disagree: pieces are 64 KiB and double until there
/// are at most 8,192 of them.
public struct Geometry: Hashable, Sendable {
  package static let blockByteCount = 16 * 1024
  package static let pieceByteCountMin = 64 * 1024
  package static let pieceCountMax = 8_192
  /// 1 PiB: beyond any file, and far from overflow in every product below.
  package static let byteCountMax = 1 << 50

  public let byteCount: Int
  public let pieceByteCount: Int

  /// Nil when `byteCount` is negative or above `byteCountMax`.
  package init?(byteCount: Int) {
    guard (0...Self.byteCountMax).contains(byteCount) else { return nil }
    var pieceByteCount = Self.pieceByteCountMin
    while byteCount > pieceByteCount * Self.pieceCountMax { pieceByteCount *= 2 }
    self.byteCount = byteCount
    self.pieceByteCount = pieceByteCount
  }

  /// Cut into other pieces than the size decides, which only a simulation may do. Nil unless
  /// `pieceByteCount` is a power of two of at least a block and there are not too many pieces.
  package init?(byteCount: Int, pieceByteCount: Int) {
    guard (0...Self.byteCountMax).contains(byteCount), pieceByteCount >= Self.blockByteCount,
      pieceByteCount.nonzeroBitCount == 1, pieceByteCount <= Self.byteCountMax,
      (byteCount + pieceByteCount - 1) / pieceByteCount <= Self.pieceCountMax
    else { return nil }
    self.byteCount = byteCount
    self.pieceByteCount = pieceByteCount
  }

  @inlinable public var pieceCount: Int { (byteCount + pieceByteCount - 1) / pieceByteCount }
  package var blockCount: Int { (byteCount + Self.blockByteCount - 1) / Self.blockByteCount }
  package var blocksPerPiece: Int { pieceByteCount / Self.blockByteCount }
  package var tree: TreeShape { TreeShape(leafCount: blockCount) }

  /// The tree layer whose nodes are the roots of single pieces; the root's own layer when the
  /// package is smaller than a piece.
  package var pieceLayer: Int {
    min(blocksPerPiece.trailingZeroBitCount, tree.height)
  }

  @inlinable
  public func contains(_ run: PieceRun) -> Bool { run.end <= pieceCount }

  /// Nil when there is no such piece.
  package func piece(_ index: Int) -> PieceIndex? {
    (0..<pieceCount).contains(index) ? PieceIndex(index) : nil
  }

  /// The piece that holds the byte at `offset`; `offset` is within the package.
  package func piece(at offset: Int) -> PieceIndex {
    precondition((0..<byteCount).contains(offset), "the offset is inside the package")
    return PieceIndex(offset / pieceByteCount)
  }

  package func byteRange(of run: PieceRun) -> ByteRange {
    let start = run.first.rawValue * pieceByteCount
    let end = min(run.end * pieceByteCount, byteCount)
    guard contains(run), let range = ByteRange(offset: start, count: end - start) else {
      preconditionFailure("the run lies inside the package")
    }
    return range
  }

  package func byteRange(of piece: PieceIndex) -> ByteRange { byteRange(of: PieceRun(piece)) }

  /// The shortest run that has every byte of `range`, which lies inside the package.
  package func run(covering range: ByteRange) -> PieceRun {
    let first = piece(at: range.offset)
    return PieceRun(first: first, count: piece(at: range.last).rawValue - first.rawValue + 1)
  }
}
