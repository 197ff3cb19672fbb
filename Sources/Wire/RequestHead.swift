package import Content

/// The head of a request, checked: whoever has one knows how its message is framed and which host
/// it is for. It holds offsets into the bytes it was read from, never the bytes.
package struct RequestHead: Sendable {
  package enum TargetForm: Sendable {
    case origin
    /// `http://host/path`, for the same host as the Host field.
    case absolute
    /// `OPTIONS *`.
    case asterisk
  }

  package let method: Method
  package let isVersion11: Bool
  package let form: TargetForm
  /// The request target as it was sent.
  package let target: Range<Int>
  /// The path in it, still percent-encoded; empty for `*` and for an absolute target without one.
  package let path: Range<Int>
  /// What follows the first `?`.
  package let query: Range<Int>?
  package let body: BodyFraming
  /// The sender waits for 100 before it sends the body.
  package let expectsContinue: Bool
  let fields: FieldTable

  /// Reads a whole head, from its first byte through its empty line.
  package init(_ bytes: Span<UInt8>) throws(WireError) {
    let line = try RequestLine(bytes)
    fields = try FieldTable(bytes, from: line.end, fault: .badRequest)
    guard line.version <= 11 else {
      throw WireError(.versionNotSupported, "only HTTP/1.0 and HTTP/1.1")
    }
    guard let method = Method(bytes, line.method) else {
      throw WireError(.notImplemented, "the method is not known")
    }
    self.method = method
    isVersion11 = line.version == 11
    target = line.target
    let parts = try TargetParts(bytes, line.target, method)
    form = parts.form
    path = parts.path
    query = parts.query
    try HostField.check(bytes, fields, authority: parts.authority, isRequired: line.version == 11)
    body = try Self.framing(bytes, fields, isVersion11: line.version == 11)
    expectsContinue = try Self.expectation(bytes, fields) && line.version == 11 && body != .none
  }

  /// Whether the connection may carry another request after this one (RFC 9112 section 9.3).
  package var keepsAlive: Bool {
    isVersion11 ? !fields.hasClose : fields.hasKeepAlive && !fields.hasClose
  }

  package func has(_ name: FieldName) -> Bool { fields.has(name) }

  /// The value of a field, the lines of a list joined by commas. `bytes` are those of the head.
  package func value(of name: FieldName, in bytes: Span<UInt8>) -> String? {
    fields.value(of: name, in: bytes)
  }

  /// Where the value on the first line of the field lies.
  package func range(of name: FieldName) -> Range<Int>? { fields.range(of: name) }

  /// The asking peer, when it says who it is.
  package func peer(in bytes: Span<UInt8>) throws(WireError) -> PeerID? {
    guard let text = value(of: .spatePeer, in: bytes) else { return nil }
    guard let peer = PeerID(hex: text), !peer.isOrigin else {
      throw WireError(.badRequest, "Spate-Peer is 32 base-16 digits")
    }
    return peer
  }

  /// Whether `Accept` names `mediaType`, in lower case, itself; wildcards do not count.
  package func accepts(_ mediaType: String, in bytes: Span<UInt8>) -> Bool {
    var found = false
    fields.forEachValue(of: .accept, in: bytes) { value in
      Grammar.forEachElement(of: bytes, value) { element in
        let end =
          Grammar.firstIndex(of: UInt8(ascii: ";"), in: bytes, element) ?? element.upperBound
        let type = Grammar.trimmed(bytes, element.lowerBound..<end)
        found = found || Grammar.matches(bytes, type, mediaType)
        return !found
      }
      return !found
    }
    return found
  }

  private static func framing(
    _ bytes: Span<UInt8>, _ fields: FieldTable, isVersion11: Bool
  ) throws(WireError) -> BodyFraming {
    if let coding = fields.range(of: .transferEncoding) {
      guard !fields.has(.contentLength) else {
        throw WireError(.badRequest, "Content-Length beside Transfer-Encoding")
      }
      guard isVersion11 else {
        throw WireError(.badRequest, "Transfer-Encoding in HTTP/1.0")
      }
      if Grammar.matches(bytes, coding, "chunked") { return .chunked }
      throw TransferCoding.refusal(bytes, coding)
    }
    guard let length = fields.range(of: .contentLength) else { return .none }
    guard let count = Grammar.decimal(bytes, length) else {
      throw WireError(.badRequest, "Content-Length is not a number")
    }
    return count == 0 ? .none : .length(count)
  }

  private static func expectation(
    _ bytes: Span<UInt8>, _ fields: FieldTable
  ) throws(WireError) -> Bool {
    guard let expect = fields.range(of: .expect) else { return false }
    guard Grammar.matches(bytes, expect, "100-continue") else {
      throw WireError(.expectationFailed, "only 100-continue can be expected")
    }
    return true
  }
}

private enum TransferCoding {
  /// Codings that are well-formed and end in chunked are merely not implemented; anything else
  /// leaves the end of the body in doubt.
  static func refusal(_ bytes: Span<UInt8>, _ value: Range<Int>) -> WireError {
    var isWellFormed = !value.isEmpty
    var chunkedCount = 0
    var lastIsChunked = false
    Grammar.forEachElement(of: bytes, value) { element in
      for index in element where !Grammar.isToken(bytes[index]) { isWellFormed = false }
      lastIsChunked = Grammar.matches(bytes, element, "chunked")
      if lastIsChunked { chunkedCount += 1 }
      return true
    }
    let isDoubtful = !isWellFormed || chunkedCount > 1 || (chunkedCount == 1 && !lastIsChunked)
    return isDoubtful
      ? WireError(.badRequest, "Transfer-Encoding leaves the end of the body in doubt")
      : WireError(.notImplemented, "the only transfer coding is chunked")
  }
}
