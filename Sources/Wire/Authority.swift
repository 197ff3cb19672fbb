import Content

/// `host [":" port]` of a Host field or an absolute target (RFC 9110 section 7.2): a name, a
/// dotted quad, or an IPv6 literal in brackets. Never user information.
struct Authority {
  let host: Range<Int>
  let port: Int?
  let defaultPort: Int?

  init?(_ bytes: Span<UInt8>, _ range: Range<Int>, defaultPort: Int? = nil) {
    self.defaultPort = defaultPort
    guard !range.isEmpty else { return nil }
    var end = range.lowerBound
    if bytes[end] == UInt8(ascii: "[") {
      guard let close = Grammar.firstIndex(of: UInt8(ascii: "]"), in: bytes, range),
        let address = IPAddress(Grammar.text(bytes, end + 1..<close)), case .v6 = address
      else { return nil }
      end = close + 1
    } else {
      while end < range.upperBound, Self.isName(bytes[end]) { end += 1 }
    }
    guard end > range.lowerBound else { return nil }
    host = range.lowerBound..<end
    if end == range.upperBound {
      port = nil
    } else {
      guard bytes[end] == UInt8(ascii: ":"), range.upperBound - end <= 6,
        let port = Grammar.decimal(bytes, end + 1..<range.upperBound), port <= 65_535
      else { return nil }
      self.port = port
    }
  }

  /// Letters, digits and `-._~`: a registered name without escapes.
  private static func isName(_ byte: UInt8) -> Bool {
    Grammar.isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") < 26
      || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
      || byte == UInt8(ascii: "~")
  }

  /// Same name in any case, and the same port, where a missing one is the default of whichever side
  /// has a scheme.
  func isSame(as other: Authority, in bytes: Span<UInt8>) -> Bool {
    guard host.count == other.host.count else { return false }
    for offset in 0..<host.count {
      let mine = Grammar.lowercased(bytes[host.lowerBound + offset])
      guard mine == Grammar.lowercased(bytes[other.host.lowerBound + offset]) else { return false }
    }
    let implied = defaultPort ?? other.defaultPort
    return (port ?? implied) == (other.port ?? implied)
  }
}

enum HostField {
  /// HTTP/1.1 requires exactly one Host; two lines were refused while the fields were read.
  static func check(
    _ bytes: Span<UInt8>, _ fields: FieldTable, authority: Authority?, isRequired: Bool
  ) throws(WireError) {
    guard let value = fields.range(of: .host) else {
      if isRequired { throw WireError(.badRequest, "no Host") }
      return
    }
    guard let host = Authority(bytes, value) else {
      throw WireError(.badRequest, "Host is malformed")
    }
    if let authority, !authority.isSame(as: host, in: bytes) {
      throw WireError(.badRequest, "the target is for another host than Host")
    }
  }
}
