import Content
import Testing

@testable import Wire

func requestText(_ bytes: ArraySlice<UInt8>) throws -> String {
  let array = Array(bytes)
  let head = try RequestHead(array.span)
  let path = head.path.isEmpty ? "-" : String(decoding: array[head.path], as: UTF8.self)
  return "\(head.method.rawValue) \(path) \(describe(head.body)) "
    + (head.keepsAlive ? "keeps" : "closes")
}

func responseText(_ bytes: ArraySlice<UInt8>) throws -> String {
  let array = Array(bytes)
  let head = try ResponseHead(array.span)
  return "\(head.status.code) \(describe(head.bodyFraming(forMethod: .get))) "
    + (head.keepsAlive ? "keeps" : "closes")
}

@Suite struct HeadTests {
  @Test func theCorpusIsThere() {
    #expect(CorpusCase.hostile.count >= 120)
    #expect(CorpusCase.valid.count >= 30)
    #expect(CorpusCase.responses.count >= 30)
    #expect(Set(CorpusCase.hostile.map(\.name)).count == CorpusCase.hostile.count)
  }

  @Test(arguments: CorpusCase.valid) func validRequestsAreRead(_ item: CorpusCase) {
    // The corpus writes the path as text, with its escapes undone.
    let whole = outcome(.request, parts: [item.bytes[...]], read: requestText)
    #expect(whole.hasPrefix("\(item.bytes.count): "))
    let words = whole.split(separator: " ")
    let expected = item.expected.split(separator: " ")
    #expect(words.count == 5 && words[1] == expected[0])
    #expect(words.suffix(2) == expected.suffix(2))
    if !expected[1].contains("\\") { #expect(words[2] == expected[1]) }
    for parts in splits(of: item.bytes) {
      #expect(outcome(.request, parts: parts, read: requestText) == whole)
    }
  }

  @Test(arguments: CorpusCase.hostile) func hostileRequestsAreRefused(_ item: CorpusCase) {
    #expect(outcome(.request, parts: [item.bytes[...]], read: requestText) == item.expected)
    for parts in splits(of: item.bytes) {
      #expect(outcome(.request, parts: parts, read: requestText) == item.expected)
    }
  }

  @Test(arguments: CorpusCase.responses) func responses(_ item: CorpusCase) {
    let expected = item.expected == "refused" ? "502" : "\(item.bytes.count): \(item.expected)"
    #expect(outcome(.response, parts: [item.bytes[...]], read: responseText) == expected)
    for parts in splits(of: item.bytes) {
      #expect(outcome(.response, parts: parts, read: responseText) == expected)
    }
  }

  @Test func everyTruncationIsIncompleteOrRefused() {
    for item in CorpusCase.valid where item.bytes.count < 1_000 {
      for count in item.bytes.indices {
        #expect(
          outcome(.request, parts: [item.bytes[..<count]], read: requestText) == "incomplete")
        // Without the scanner's help a part of a head is no head.
        #expect(throws: WireError.self) { try requestText(item.bytes[..<count]) }
      }
    }
  }

  @Test func oneRequestAfterAnother() throws {
    let first = Array("GET /a HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    let bytes = first + Array("GET /b HTTP/1.1\r\nHost: b\r\n\r\n".utf8)
    var scanner = HeadScanner()
    let count = try #require(try scanner.scan(bytes))
    #expect(count == first.count)
    scanner.reset()
    let rest = Array(bytes[count...])
    #expect(try scanner.scan(rest) == rest.count)
  }

  @Test func valuesOfFields() throws {
    let bytes = Array(
      """
      GET /x?y=1 HTTP/1.1\r
      Host: a\r
      accept: text/html, Application/JSON;q=0.5\r
      If-None-Match: "a"\r
      X-Other: z\r
      if-none-match:   "b" \r
      Spate-Peer: 00000000000000010000000000000002\r
      \r

      """.utf8)
    let head = try RequestHead(bytes.span)
    #expect(head.value(of: .host, in: bytes) == "a")
    #expect(head.value(of: .ifNoneMatch, in: bytes) == "\"a\", \"b\"")
    #expect(
      head.range(of: .ifNoneMatch).map { String(decoding: bytes[$0], as: UTF8.self) } == "\"a\"")
    #expect(head.value(of: .range, in: bytes) == nil)
    #expect(!head.has(.range))
    #expect(head.accepts("application/json", in: bytes))
    #expect(!head.accepts("text/plain", in: bytes))
    #expect(try head.peer(in: bytes) == PeerID(high: 1, low: 2))
    #expect(head.query.map { String(decoding: bytes[$0], as: UTF8.self) } == "y=1")
    #expect(String(decoding: bytes[head.target], as: UTF8.self) == "/x?y=1")
    #expect(!head.expectsContinue)
  }

  @Test(arguments: ["xyz", "00000000000000000000000000000000", ""])
  func aPeerThatIsNone(_ text: String) throws {
    let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nSpate-Peer: \(text)\r\n\r\n".utf8)
    let head = try RequestHead(bytes.span)
    #expect(throws: WireError.self) { try head.peer(in: bytes) }
  }

  @Test func everyKnownNameIsFoundInAnyCase() throws {
    for name in FieldName.allCases {
      for text in [name.text, name.text.lowercased(), name.text.uppercased()] {
        #expect(FieldIndex.shared.field(named: PackedName(text)) == name)
      }
      #expect(FieldIndex.shared.field(named: PackedName(name.text + "x")) == nil)
      #expect(FieldIndex.shared.field(named: PackedName(String(name.text.dropLast()))) == nil)
      #expect(name.text.utf8.count <= PackedName.byteCountMax)
    }
    #expect(FieldName.allCases.count <= FieldTable.slotCount)
  }

  @Test func bodiesThatNeverFollow() throws {
    let bytes = Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nRetry-After: 7\r\n\r\n".utf8)
    let head = try ResponseHead(bytes.span)
    #expect(head.bodyFraming(forMethod: .head) == .none)
    #expect(head.contentLength == 9)
    #expect(head.retryAfter(in: bytes) == .seconds(7))
    #expect(!head.isInterim)
  }

  @Test func limitsAreHeldAtTheLastByte() throws {
    var limits = HeadLimits()
    limits.startLineByteCountMax = 20
    limits.fieldByteCountMax = 10
    limits.fieldCountMax = 2
    limits.headByteCountMax = 47
    let verdict = { (text: String) -> UInt16? in
      var scanner = HeadScanner(.request, limits: limits)
      do {
        return try scanner.scan(Array(text.utf8)) == nil ? 0 : nil
      } catch { return (error as? WireError)?.status.code ?? 1 }
    }
    #expect(verdict("GET /1234567 HTTP/1.1\r\nHost: a\r\n\r\n") == 414)
    #expect(verdict("GET /123456 HTTP/1.1\r\nHost: a\r\n\r\n") == nil)
    #expect(verdict("GET / HTTP/1.1\r\nHost: abcde\r\n\r\n") == 431)
    #expect(verdict("GET / HTTP/1.1\r\nHost: abcd\r\n\r\n") == nil)
    #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\na:b\r\nc:d\r\n\r\n") == 431)
    #expect(verdict("GET /12345 HTTP/1.1\r\nHost: abcd\r\na:2345678\r\n\r\n") == nil)
    #expect(verdict("GET /123456 HTTP/1.1\r\nHost: abcd\r\na:23456789\r\n\r\n") == 431)
  }
}
