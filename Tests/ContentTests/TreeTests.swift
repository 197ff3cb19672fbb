import Testing

@testable import Content

@Suite struct TreeTests {
  @Test(arguments: [
    (0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (1 << 36, 36),
  ])
  func theHeightIsThatOfTheNextPowerOfTwo(leafCount: Int, height: Int) {
    #expect(TreeShape(leafCount: leafCount).height == height)
  }

  @Test func eachLayerHasHalfTheNodesRoundedUp() {
    for leafCount in 1...70 {
      let shape = TreeShape(leafCount: leafCount)
      var count = leafCount
      for layer in 0...shape.height {
        #expect(shape.nodeCount(inLayer: layer) == count)
        count = (count + 1) / 2
      }
      #expect(shape.nodeCount(inLayer: shape.height) == 1)
    }
  }

  @Test func aSliceIsAlignedAndInside() throws {
    let shape = TreeShape(leafCount: 13)
    let slice = try #require(TreeSlice(shape: shape, layer: 0, first: 8, width: 8))
    #expect(slice.count == 5)
    #expect(slice.apexLayer == 3)
    #expect(slice.proofCount == 1)
    let whole = try #require(TreeSlice(shape: shape, wholeLayer: 1))
    #expect(whole.count == 7)
    #expect(whole.proofCount == 0)
    let root = try #require(TreeSlice(shape: shape, wholeLayer: 4))
    #expect(root.count == 1)
    for (layer, first, width) in [
      (0, 4, 8), (0, 0, 3), (0, 0, 0), (0, 0, -4), (0, 16, 8), (0, -8, 8), (5, 0, 1), (-1, 0, 1),
    ] {
      #expect(TreeSlice(shape: shape, layer: layer, first: first, width: width) == nil)
    }
  }

  @Test func aSliceIsNeverLargerThanAPieceLayer() {
    let shape = TreeShape(leafCount: 1 << 20)
    #expect(TreeSlice(shape: shape, layer: 0, first: 0, width: 8_192)?.count == 8_192)
    #expect(TreeSlice(shape: shape, layer: 0, first: 0, width: 16_384) == nil)
    #expect(TreeSlice(shape: shape, wholeLayer: 6) == nil)
    #expect(TreeSlice(shape: shape, wholeLayer: 7)?.count == 8_192)
  }

  /// What the network asks for may be any number.
  @Test func noNumberTraps() {
    let numbers = [
      Int.min, .min + 1, -65, -64, -63, -1, 0, 1, 2, 3, 36, 62, 63, 64, 65, 8_191, 8_192, 1 << 36,
      1 << 61, 1 << 62, .max - 1, .max,
    ]
    for leafCount in numbers where leafCount >= 0 {
      let shape = TreeShape(leafCount: leafCount)
      for layer in numbers {
        if let slice = TreeSlice(shape: shape, wholeLayer: layer) {
          #expect(slice.count <= TreeSlice.nodeCountMax)
        }
        for first in numbers {
          for width in numbers {
            guard let slice = TreeSlice(shape: shape, layer: layer, first: first, width: width)
            else { continue }
            #expect((1...TreeSlice.nodeCountMax).contains(slice.count))
            #expect((0...shape.height).contains(slice.apexLayer) && slice.proofCount >= 0)
          }
        }
      }
    }
  }
}
