import Testing

@testable import Wire

@Suite struct ChunkedTests {
  /// The body and what follows it, or the refusal.
  private func outcome(_ parts: [ArraySlice<UInt8>]) -> String {
    var decoder = ChunkedDecoder(fault: .badRequest)
    var body: [UInt8] = []
    do throws(WireError) {
      for (number, part) in parts.enumerated() {
        let bytes = Array(part)
        var position = 0
        reading: while true {
          switch try decoder.next(bytes.span, at: &position) {
          case .body(let range): body += bytes[range]
          case .needsMore: break reading
          case .end(let end):
            let rest = bytes[end...] + parts[(number + 1)...].joined()
            return String(decoding: body, as: UTF8.self) + "|"
              + String(decoding: rest, as: UTF8.self)
          }
        }
      }
      return "incomplete"
    } catch {
      return "\(error.status.code)"
    }
  }

  @Test(arguments: [
    ("0\r\n\r\n", "|"),
    ("5\r\nhello\r\n0\r\n\r\n", "hello|"),
    ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", "hello world|GET"),
    ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789|"),
    ("A\r\n0123456789\r\n000\r\n\r\n", "0123456789|"),
    ("1;x=y\r\na\r\n0;z\r\n\r\n", "a|"),
    ("1;x=\"y z\"\r\na\r\n0\r\n\r\n", "a|"),
    ("1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\nrest", "a|rest"),
    ("5\r\nhel", "incomplete"),
    ("5\r\nhello\r\n0\r\n", "incomplete"),
    ("5\r\nhello\r\n0\r\n\r", "incomplete"),
    ("\r\n", "400"), ("x\r\n", "400"), (" 1\r\na\r\n", "400"), ("1 \r\na\r\n", "400"),
    ("-1\r\n", "400"), ("+1\r\na", "400"), ("0x1\r\na", "400"), ("1\na\r\n", "400"),
    ("1\r\na\n", "400"), ("1\r\nab\r\n", "400"), ("1\r\na0\r\n\r\n", "400"),
    ("1\rxa", "400"), ("0000000000000001\r\na", "400"), ("ffffffffffffffff\r\n", "400"),
    ("1;x\u{1}\r\na", "400"), ("1;x\na\r\n", "400"), ("0\r\n\n", "400"), ("0\r\nX\r\n", "400"),
    ("0\r\nX : y\r\n\r\n", "400"), ("0\r\n y\r\n\r\n", "400"), ("0\r\nX: \u{0}\r\n\r\n", "400"),
    (";\r\n", "400"),
  ])
  func bodies(_ text: String, _ expected: String) {
    let bytes = Array(text.utf8)
    #expect(outcome([bytes[...]]) == expected)
    for parts in splits(of: bytes) { #expect(outcome(parts) == expected) }
  }

  @Test func extensionsAndTrailersHaveLimits() {
    let long = String(repeating: "x", count: ChunkedDecoder.extensionByteCountMax)
    #expect(outcome([Array("0;\(long)\r\n\r\n".utf8)[...]]) == "|")
    #expect(outcome([Array("0;x\(long)".utf8)[...]]) == "400")
    #expect(outcome([Array("1;\(long)\r\na\r\n0;x\r\n".utf8)[...]]) == "400")
    let trailer = String(repeating: "x", count: ChunkedDecoder.trailerByteCountMax)
    #expect(outcome([Array("0\r\nX:\(trailer)".utf8)[...]]) == "400")
  }

  @Test(arguments: [1, 15, 16, 255, 4_096, 65_535, 1_000_000])
  func whatIsWrittenIsRead(_ count: Int) {
    var bytes: [UInt8] = []
    HeadWriter.chunkStart(byteCount: count, to: &bytes)
    bytes += Array(repeating: UInt8(ascii: "x"), count: count) + HeadWriter.chunkEnd
    bytes += HeadWriter.lastChunk
    #expect(outcome([bytes[...]]) == String(repeating: "x", count: count) + "|")
  }
}
