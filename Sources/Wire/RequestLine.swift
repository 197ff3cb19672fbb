/// `method SP target SP HTTP-version CRLF` (RFC 9112 section 3), with single spaces and nothing else.
struct RequestLine {
  let method: Range<Int>
  let target: Range<Int>
  /// 10 or 11; anything above is a version that is well-formed and not spoken.
  let version: Int
  /// After the CRLF.
  let end: Int

  init(_ bytes: Span<UInt8>) throws(WireError) {
    let count = bytes.count
    var index = 0
    while index + 1 < count, index < 2 * HeadLimits.standard.leadingEmptyLineCountMax,
      bytes[index] == Grammar.carriageReturn, bytes[index + 1] == Grammar.lineFeed
    {
      index += 2
    }
    let methodStart = index
    while index < count, Grammar.isToken(bytes[index]) { index += 1 }
    guard index > methodStart, index < count, bytes[index] == Grammar.space else {
      throw WireError(.badRequest, "the method is not a token")
    }
    method = methodStart..<index
    let targetStart = index + 1
    index = targetStart
    // Bytes from 0x80 are not in the grammar of a target, but clients send names in UTF-8 as they
    // are, and such a byte can end nothing.
    while index < count, bytes[index] > Grammar.space, bytes[index] != 0x7f { index += 1 }
    guard index > targetStart, index < count, bytes[index] == Grammar.space else {
      throw WireError(.badRequest, "the request line is malformed")
    }
    target = targetStart..<index
    version = try Self.version(bytes, at: index + 1)
    end = index + 1 + 10
    if count - method.lowerBound >= 3, Grammar.matches(bytes, method, "pri"), version == 20 {
      throw WireError(.badRequest, "HTTP/2 is not spoken here")
    }
  }

  /// Major version times ten plus minor version, of the eight bytes before the CRLF.
  private static func version(_ bytes: Span<UInt8>, at start: Int) throws(WireError) -> Int {
    guard start + 10 <= bytes.count, bytes[start] == UInt8(ascii: "H"),
      bytes[start + 1] == UInt8(ascii: "T"), bytes[start + 2] == UInt8(ascii: "T"),
      bytes[start + 3] == UInt8(ascii: "P"), bytes[start + 4] == UInt8(ascii: "/"),
      Grammar.isDigit(bytes[start + 5]), bytes[start + 6] == UInt8(ascii: "."),
      Grammar.isDigit(bytes[start + 7]), bytes[start + 8] == Grammar.carriageReturn,
      bytes[start + 9] == Grammar.lineFeed
    else { throw WireError(.badRequest, "the HTTP version is malformed") }
    let version =
      Int(bytes[start + 5] - UInt8(ascii: "0")) * 10 + Int(bytes[start + 7] - UInt8(ascii: "0"))
    // Below 1.0 nothing was ever sent with a version: it is refused like any other.
    return version < 10 ? 99 : version
  }
}

/// The parts of a request target in the forms a server understands.
struct TargetParts {
  let form: RequestHead.TargetForm
  let path: Range<Int>
  let query: Range<Int>?
  /// Of an absolute target, with the port its scheme implies.
  let authority: Authority?

  init(_ bytes: Span<UInt8>, _ target: Range<Int>, _ method: Method) throws(WireError) {
    if let hash = Grammar.firstIndex(of: UInt8(ascii: "#"), in: bytes, target) {
      throw WireError(.badRequest, "a fragment in the target at byte \(hash)")
    }
    if bytes[target.lowerBound] == UInt8(ascii: "/") {
      form = .origin
      authority = nil
      (path, query) = Self.split(bytes, target)
    } else if target.count == 1, bytes[target.lowerBound] == UInt8(ascii: "*") {
      guard method == .options else { throw WireError(.badRequest, "* is for OPTIONS") }
      form = .asterisk
      authority = nil
      path = target.lowerBound..<target.lowerBound
      query = nil
    } else {
      form = .absolute
      let (authority, rest) = try Self.absolute(bytes, target)
      self.authority = authority
      (path, query) = Self.split(bytes, rest)
    }
  }

  private static func absolute(
    _ bytes: Span<UInt8>, _ target: Range<Int>
  ) throws(WireError) -> (Authority, Range<Int>) {
    let isPlain = hasPrefix(bytes, target, "http://")
    guard isPlain || hasPrefix(bytes, target, "https://") else {
      throw WireError(.badRequest, "the target is neither a path nor an http URL")
    }
    let start = target.lowerBound + (isPlain ? 7 : 8)
    var end = start
    while end < target.upperBound, bytes[end] != UInt8(ascii: "/"), bytes[end] != UInt8(ascii: "?")
    {
      end += 1
    }
    guard let authority = Authority(bytes, start..<end, defaultPort: isPlain ? 80 : 443) else {
      throw WireError(.badRequest, "the target's host is malformed")
    }
    return (authority, end..<target.upperBound)
  }

  private static func hasPrefix(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: String) -> Bool {
    let count = text.utf8.count
    return range.count >= count
      && Grammar.matches(bytes, range.lowerBound..<range.lowerBound + count, text)
  }

  private static func split(
    _ bytes: Span<UInt8>, _ range: Range<Int>
  ) -> (path: Range<Int>, query: Range<Int>?) {
    guard let mark = Grammar.firstIndex(of: UInt8(ascii: "?"), in: bytes, range) else {
      return (range, nil)
    }
    return (range.lowerBound..<mark, mark + 1..<range.upperBound)
  }
}
