/// What a head may cost its reader. Beyond it a request is refused with 414 or 431.
package struct HeadLimits: Hashable, Sendable {
  /// Request line or status line, without its CRLF.
  package var startLineByteCountMax = 8 * 1024
  /// One field line, without its CRLF.
  package var fieldByteCountMax = 8 * 1024
  package var fieldCountMax = 100
  /// Everything up to and including the empty line; at most 65,535.
  package var headByteCountMax = 32 * 1024
  /// Empty lines before a request line that are forgiven (RFC 9112 section 2.2).
  package var leadingEmptyLineCountMax = 2

  package static let standard = HeadLimits()

  package init() {}
}

/// Finds where a head ends while it arrives, looks at each byte once, and enforces the limits before
/// the bytes are all there, so that a slow or endless sender costs little.
package struct HeadScanner: Sendable {
  package enum Kind: Sendable { case request, response }

  private let kind: Kind
  private let limits: HeadLimits
  private var position = 0
  private var lineStart = 0
  private var lineCount = 0
  private var emptyLineCount = 0

  package init(_ kind: Kind = .request, limits: HeadLimits = .standard) {
    precondition(limits.headByteCountMax <= Int(UInt16.max), "offsets in a head have 16 bits")
    self.kind = kind
    self.limits = limits
  }

  /// Forgets the head that was found; the next call to `scan` starts a new one.
  package mutating func reset() { self = HeadScanner(kind, limits: limits) }

  /// Looks at what is new in `bytes`, which hold all that was received of the head so far, from its
  /// first byte. Returns the byte count of the whole head once its empty line is there.
  package mutating func scan(_ bytes: Span<UInt8>) throws(WireError) -> Int? {
    try checkFirstByte(bytes)
    while let lineEnd = try nextLineEnd(bytes) {
      let next = lineEnd + 2
      if lineEnd > lineStart {
        if lineCount == 0 { try checkStartLine(bytes, lineStart..<lineEnd) }
        lineCount += 1
        // The start line is counted too.
        if lineCount > limits.fieldCountMax + 1 { throw tooLarge("too many fields") }
      } else if lineCount > 0 {
        return next
      } else {
        emptyLineCount += 1
        guard kind == .request, emptyLineCount <= limits.leadingEmptyLineCountMax else {
          throw doubt("empty lines before the start line")
        }
      }
      lineStart = next
      position = next
      if lineCount == 0 { try checkFirstByte(bytes) }
    }
    return nil
  }

  /// The index of the CR of the next line end, or nil when more bytes are needed.
  private mutating func nextLineEnd(_ bytes: Span<UInt8>) throws(WireError) -> Int? {
    let lineMax = lineCount == 0 ? limits.startLineByteCountMax : limits.fieldByteCountMax
    // Never look past the point where the line is refused anyway: the verdict must not depend on
    // how many bytes have arrived.
    let bound = min(lineStart + lineMax + 1, limits.headByteCountMax - 1)
    let end = min(bytes.count, bound)
    var index = position
    while index < end {
      let byte = bytes[index]
      if byte <= Grammar.carriageReturn,
        byte == Grammar.carriageReturn || byte == Grammar.lineFeed
      {
        break
      }
      index += 1
    }
    position = index
    if index == end {
      if end == bound { throw lineTooLong(lineMax) }
      return nil
    }
    guard bytes[index] == Grammar.carriageReturn else { throw doubt("a line feed alone") }
    guard index + 1 < bytes.count else { return nil }
    guard bytes[index + 1] == Grammar.lineFeed else { throw doubt("a carriage return alone") }
    return index
  }

  /// Refuses what cannot become a head at its first byte, such as a TLS handshake.
  private func checkFirstByte(_ bytes: Span<UInt8>) throws(WireError) {
    guard lineCount == 0, position == lineStart, lineStart < bytes.count else { return }
    let byte = bytes[lineStart]
    guard Grammar.isToken(byte) || byte == Grammar.carriageReturn || byte == Grammar.lineFeed
    else { throw doubt("not HTTP") }
  }

  /// An HTTP/0.9 request has no version and no empty line: waiting for one would be waiting for the
  /// timeout.
  private func checkStartLine(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(WireError) {
    let version =
      kind == .request ? max(line.lowerBound, line.upperBound - 8) : line.lowerBound
    guard line.upperBound - version >= 8,
      Grammar.matches(bytes, version..<version + 5, "http/")
    else { throw doubt("no HTTP version in the start line") }
  }

  private func lineTooLong(_ lineMax: Int) -> WireError {
    if lineStart + lineMax + 1 > limits.headByteCountMax - 1 {
      return tooLarge("the head is too long")
    }
    return lineCount == 0
      ? WireError(kind == .request ? .uriTooLong : .badGateway, "the start line is too long")
      : tooLarge("a field is too long")
  }

  private func doubt(_ reason: String) -> WireError {
    WireError(kind == .request ? .badRequest : .badGateway, reason)
  }

  private func tooLarge(_ reason: String) -> WireError {
    WireError(kind == .request ? .fieldsTooLarge : .badGateway, reason)
  }
}
