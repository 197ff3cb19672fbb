/// The head of a response, read as strictly as a request's: a client that is unsure where a body
/// ends would store the next response as a part of this one.
package struct ResponseHead: Sendable {
  package let status: Status
  package let isVersion11: Bool
  /// As declared, also where no body follows (HEAD).
  package let contentLength: Int?
  private let isChunked: Bool
  private let fields: FieldTable

  /// Reads a whole head, from its first byte through its empty line.
  package init(_ bytes: Span<UInt8>) throws(WireError) {
    let line = try StatusLine(bytes)
    status = line.status
    isVersion11 = line.isVersion11
    fields = try FieldTable(bytes, from: line.end, fault: .badGateway)
    if let coding = fields.range(of: .transferEncoding) {
      guard isVersion11, !fields.has(.contentLength), !line.status.forbidsBody,
        Grammar.matches(bytes, coding, "chunked")
      else { throw WireError(.badGateway, "Transfer-Encoding leaves the end of the body in doubt") }
      isChunked = true
    } else {
      isChunked = false
    }
    if let length = fields.range(of: .contentLength) {
      guard let count = Grammar.decimal(bytes, length) else {
        throw WireError(.badGateway, "Content-Length is not a number")
      }
      contentLength = count
    } else {
      contentLength = nil
    }
  }

  /// 1xx: another head for the same request follows.
  package var isInterim: Bool { status.isInterim }

  /// Whether the server says it will read another request. A body that runs to the end of the
  /// connection rules that out by itself.
  package var keepsAlive: Bool {
    isVersion11 ? !fields.hasClose : fields.hasKeepAlive && !fields.hasClose
  }

  /// How the body after this head is framed, which depends on what was asked (RFC 9112 section 6.3).
  package func bodyFraming(forMethod method: Method) -> BodyFraming {
    if method == .head || status.forbidsBody { return .none }
    if isChunked { return .chunked }
    guard let contentLength else { return .untilClose }
    return contentLength == 0 ? .none : .length(contentLength)
  }

  package func has(_ name: FieldName) -> Bool { fields.has(name) }

  /// The value of a field, the lines of a list joined by commas. `bytes` are those of the head.
  package func value(of name: FieldName, in bytes: Span<UInt8>) -> String? {
    fields.value(of: name, in: bytes)
  }

  /// Where the value on the first line of the field lies.
  package func range(of name: FieldName) -> Range<Int>? { fields.range(of: name) }

  /// Seconds of a numeric Retry-After, at most a day; nil for the date form and for none.
  package func retryAfter(in bytes: Span<UInt8>) -> Duration? {
    guard let range = fields.range(of: .retryAfter),
      let seconds = Grammar.saturatingDecimal(bytes, range)
    else { return nil }
    return .seconds(min(seconds, 86_400))
  }
}

/// `HTTP-version SP 3DIGIT [SP reason] CRLF` (RFC 9112 section 4). Some servers leave the space
/// before an empty reason out, and nothing hangs on it.
private struct StatusLine {
  let status: Status
  let isVersion11: Bool
  let end: Int

  init(_ bytes: Span<UInt8>) throws(WireError) {
    guard bytes.count >= 14, Grammar.matches(bytes, 0..<7, "http/1."),
      bytes[0] == UInt8(ascii: "H"), bytes[1] == UInt8(ascii: "T"), bytes[2] == UInt8(ascii: "T"),
      bytes[3] == UInt8(ascii: "P"), bytes[8] == Grammar.space,
      bytes[7] == UInt8(ascii: "0") || bytes[7] == UInt8(ascii: "1"),
      let code = Grammar.decimal(bytes, 9..<12), (100...599).contains(code),
      let code = UInt16(exactly: code)
    else { throw WireError(.badGateway, "the status line is malformed") }
    isVersion11 = bytes[7] == UInt8(ascii: "1")
    status = Status(code)
    var index = 12
    if bytes[index] == Grammar.space {
      while index < bytes.count, Grammar.isValue(bytes[index]) { index += 1 }
    }
    guard index + 1 < bytes.count, bytes[index] == Grammar.carriageReturn,
      bytes[index + 1] == Grammar.lineFeed
    else { throw WireError(.badGateway, "the status line is malformed") }
    end = index + 2
  }
}
