import Content
import Testing
import Wire

@Suite struct MessageTwinTests {
  @Test func whatAPeerHoldsIsListedAsRuns() {
    var held = PieceSet(pieceCount: 10)
    for piece in [0, 1, 9] { held.insert(PieceIndex(piece)) }
    let json = HaveFrame.json(held: held, promised: [PieceRun(PieceIndex(5))])
    #expect(
      String(decoding: json, as: UTF8.self)
        == #"{"pieces":10,"count":3,"held":[[0,2],[9,1]],"promised":[[5,1]]}"#)
  }

  @Test func aPartOfATreeIsListedInHexadecimal() throws {
    let slice = try #require(
      TreeSlice(shape: TreeShape(leafCount: 5), layer: 0, first: 4, width: 1))
    let zero = String(repeating: "0", count: 64)
    let message = TreeMessage(
      slice: slice, nodes: [.zero], proof: Array(repeating: .zero, count: slice.proofCount))
    #expect(
      String(decoding: message.json(), as: UTF8.self)
        == #"{"leaves":5,"layer":0,"first":4,"nodes":["\#(zero)"],"proof":["\#(zero)","\#(zero)","\#(zero)"]}"#
    )
  }
}
