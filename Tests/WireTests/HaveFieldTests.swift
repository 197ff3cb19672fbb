import Content
import Testing

@testable import Wire

@Suite struct HaveFieldTests {
  private func read(_ value: String, pieceCount: Int = 100) throws(WireError) -> HaveField {
    let bytes = Array("..\(value)..".utf8)
    return try HaveField(bytes.span, 2..<bytes.count - 2, pieceCount: pieceCount)
  }

  private func run(_ first: Int, _ count: Int = 1) -> PieceRun {
    PieceRun(first: PieceIndex(first), count: count)
  }

  @Test(arguments: [
    ("5,7-9;12-13", [(5, 1), (7, 3)], [(12, 2)]), ("0-99", [(0, 100)], []), (";3", [], [(3, 1)]),
    ("4, 4 ,6", [(4, 1), (4, 1), (6, 1)], []), ("", [], []),
  ])
  func valuesAreRead(value: String, gained: [(Int, Int)], promised: [(Int, Int)]) throws {
    let expected = HaveField(
      gained: gained.map { run($0.0, $0.1) }, promised: promised.map { run($0.0, $0.1) })
    #expect(try read(value) == expected)
  }

  @Test(arguments: [
    "100", "0-100", "9-8", "-1", "1-", "1-2-3", "a", "+1", "1;2;3", "1 2", "0x1",
    "18446744073709551616", "0-18446744073709551615",
  ])
  func anythingElseIsRefused(value: String) {
    #expect(throws: WireError.self) { try read(value) }
  }

  @Test func thereIsALimit() throws {
    let full = (0..<HaveField.runCountMax).map { "\(2 * $0)" }.joined(separator: ",")
    #expect(try read(full, pieceCount: 1_000).gained.count == HaveField.runCountMax)
    #expect(throws: WireError.self) { try read(full + ",999", pieceCount: 1_000) }
    #expect(throws: WireError.self) { try read(full + ";999", pieceCount: 1_000) }
  }

  @Test func whatIsWrittenIsReadAgain() throws {
    for field in [
      HaveField(gained: [run(5), run(7, 3)], promised: [run(12, 2)]),
      HaveField(gained: [], promised: [run(0)]), HaveField(gained: [run(99)], promised: []),
    ] {
      var line: [UInt8] = []
      field.append(to: &line)
      let text = String(decoding: line, as: UTF8.self)
      #expect(text.hasPrefix("Spate-Have: ") && text.hasSuffix("\r\n"))
      #expect(try read(String(text.dropFirst(12).dropLast(1))) == field)
    }
  }
}
