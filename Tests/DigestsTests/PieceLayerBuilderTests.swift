import Content
import Testing

@testable import Digests

/// The size of a piece is only known when the last byte came.
@Suite struct PieceLayerBuilderTests {
  private static let smallBlocks = Geometry.pieceByteCountMin / Geometry.blockByteCount

  @Test(arguments: [
    Geometry.pieceCountMax, Geometry.pieceCountMax + 1, 2 * Geometry.pieceCountMax,
    2 * Geometry.pieceCountMax + 1,
  ])
  func piecesGrowWithThePackage(_ smallPieceCount: Int) throws {
    // Leaves stand for themselves: what they hash does not matter here.
    let leafCount = smallPieceCount * Self.smallBlocks - 1
    let leaves = (0..<leafCount).map { number in
      SHA256Digest(words: (UInt64(number), 1, 2, 3))
    }
    let byteCount = leafCount * Geometry.blockByteCount
    let geometry = try #require(Geometry(byteCount: byteCount))
    var builder = PieceLayerBuilder()
    for leaf in leaves { builder.append(leaf: leaf) }
    let pieceLayer = builder.finish(geometry: geometry)
    #expect(pieceLayer.count == geometry.pieceCount)
    #expect(pieceLayer == TreeHash.pieceLayer(leaves: leaves, geometry: geometry))
    #expect(builder.finish(geometry: geometry).isEmpty)
  }
}
