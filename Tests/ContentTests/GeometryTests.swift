import Testing

@testable import Content

@Suite struct GeometryTests {
  private static let smallMax = Geometry.pieceByteCountMin * Geometry.pieceCountMax

  @Test(arguments: [
    (0, 65_536, 0, 0), (1, 65_536, 1, 1), (16_384, 65_536, 1, 1), (16_385, 65_536, 1, 2),
    (65_536, 65_536, 1, 4), (65_537, 65_536, 2, 5),
    (smallMax - 1, 65_536, 8_192, 32_768), (smallMax, 65_536, 8_192, 32_768),
    (smallMax + 1, 131_072, 4_097, 32_769), (smallMax * 2, 131_072, 8_192, 65_536),
    (smallMax * 2 + 1, 262_144, 4_097, 65_537),
    (1 << 50, 1 << 37, 8_192, 1 << 36),
  ])
  func sizeAloneDecidesTheCut(byteCount: Int, pieceByteCount: Int, pieces: Int, blocks: Int) throws
  {
    let geometry = try #require(Geometry(byteCount: byteCount))
    #expect(geometry.pieceByteCount == pieceByteCount)
    #expect(geometry.pieceCount == pieces)
    #expect(geometry.blockCount == blocks)
    #expect(geometry.blocksPerPiece * Geometry.blockByteCount == pieceByteCount)
  }

  @Test(arguments: [-1, .min, (1 << 50) + 1, .max])
  func impossibleSizesHaveNoGeometry(byteCount: Int) {
    #expect(Geometry(byteCount: byteCount) == nil)
  }

  @Test(arguments: [1, 65_535, 65_536, 65_537, smallMax + 1, 1 << 50])
  func piecesTileThePackage(byteCount: Int) throws {
    let geometry = try #require(Geometry(byteCount: byteCount))
    var end = 0
    for index in 0..<geometry.pieceCount {
      let piece = try #require(geometry.piece(index))
      let range = geometry.byteRange(of: piece)
      #expect(range.offset == end)
      #expect(index == geometry.pieceCount - 1 || range.count == geometry.pieceByteCount)
      end = range.end
    }
    #expect(end == byteCount)
    #expect(geometry.piece(at: 0) == PieceIndex(0))
    #expect(geometry.piece(at: byteCount - 1) == PieceIndex(geometry.pieceCount - 1))
    #expect(geometry.piece(geometry.pieceCount) == nil)
    #expect(geometry.piece(-1) == nil)
  }

  @Test func runsCoverRanges() throws {
    let geometry = try #require(Geometry(byteCount: 200_000))
    let one = try #require(ByteRange(offset: 65_535, count: 1))
    #expect(geometry.run(covering: one) == PieceRun(PieceIndex(0)))
    let two = try #require(ByteRange(offset: 65_535, count: 2))
    #expect(geometry.run(covering: two) == PieceRun(first: PieceIndex(0), count: 2))
    let tail = try #require(ByteRange(offset: 65_536, count: 134_464))
    let run = geometry.run(covering: tail)
    #expect(run == PieceRun(first: PieceIndex(1), count: 3))
    #expect(geometry.byteRange(of: run) == tail)
    #expect(geometry.contains(run))
    #expect(!geometry.contains(PieceRun(first: PieceIndex(3), count: 2)))
  }

  @Test func runsKnowTheirMembers() {
    let run = PieceRun(first: PieceIndex(3), count: 2)
    #expect(run.end == 5)
    #expect(run.last == PieceIndex(4))
    #expect(Array(run.pieces) == [PieceIndex(3), PieceIndex(4)])
    #expect((0..<8).filter { run.contains(PieceIndex($0)) } == [3, 4])
  }

  @Test(arguments: [0, 1, 16_384, 65_536, 65_537, 1_000_000, 1 << 50])
  func thePieceLayerHasOneNodeAPiece(byteCount: Int) throws {
    let geometry = try #require(Geometry(byteCount: byteCount))
    let count = geometry.tree.nodeCount(inLayer: geometry.pieceLayer)
    #expect(count == geometry.pieceCount)
    #expect(geometry.tree.nodeCount(inLayer: geometry.tree.height) == min(1, geometry.pieceCount))
  }
}

@Suite struct ByteRangeTests {
  @Test func onlyRealRangesExist() {
    #expect(ByteRange(offset: 0, count: 1)?.last == 0)
    #expect(ByteRange(offset: .max - 1, count: 1)?.end == .max)
    for (offset, count) in [(-1, 2), (0, 0), (0, -1), (.max, 1), (1, .max), (.min, .max)] {
      #expect(ByteRange(offset: offset, count: count) == nil)
    }
  }

  @Test func rangesMeet() throws {
    let range = try #require(ByteRange(offset: 10, count: 10))
    let inner = try #require(ByteRange(offset: 12, count: 3))
    let left = try #require(ByteRange(offset: 0, count: 11))
    let beside = try #require(ByteRange(offset: 20, count: 5))
    let all = try #require(ByteRange(offset: 0, count: .max))
    #expect(range.contains(inner))
    #expect(!range.contains(left))
    #expect(range.intersection(inner) == inner)
    #expect(range.intersection(left) == ByteRange(offset: 10, count: 1))
    #expect(range.intersection(beside) == nil)
    #expect(all.intersection(range) == range)
  }
}
