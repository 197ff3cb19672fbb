package import Content

/// What is wrong with a URL that a person typed or a file named.
package enum HTTPURLError: Error, Hashable, Sendable, CustomStringConvertible {
  case noScheme
  case unsupportedScheme(String)
  case userInformation
  case noHost
  case malformedHost(String)
  case malformedPort(String)
  case controlCharacter
  case malformedEscape

  package var description: String {
    switch self {
    case .noScheme: "the URL does not begin with http:// or https://"
    case .unsupportedScheme(let scheme): "the scheme \(scheme) is not http or https"
    case .userInformation: "user names and passwords in a URL are not supported"
    case .noHost: "the URL names no host"
    case .malformedHost(let host): "\(host) is not a host name or an address"
    case .malformedPort(let port): "\(port) is not a port"
    case .controlCharacter: "the URL has a space or a control character in it"
    case .malformedEscape: "a % in the URL is not followed by two base-16 digits"
    }
  }
}

/// An `http` or `https` URL (RFC 9110 section 4.2), taken apart for a client.
package struct HTTPURL: Hashable, Sendable, CustomStringConvertible {
  package let isSecure: Bool
  /// A name in lower case, or an address without brackets.
  package let host: String
  package let port: UInt16
  /// Path and query as they go into the request line: from `/`, escapes kept, other bytes escaped.
  package let target: String

  package init(parsing text: String) throws(HTTPURLError) {
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      throw .controlCharacter
    }
    guard let separator = Self.firstIndex(of: "://", in: text) else { throw .noScheme }
    let scheme = text[..<separator].lowercased()
    switch scheme {
    case "http": isSecure = false
    case "https": isSecure = true
    case "": throw .noScheme
    default: throw .unsupportedScheme(scheme)
    }
    let rest = text.utf8[text.utf8.index(separator, offsetBy: 3)...]
    let end = rest.firstIndex { "/?#".utf8.contains($0) } ?? rest.endIndex
    (host, port) = try Self.authority(
      Substring(rest[..<end]), defaultPort: isSecure ? 443 : 80)
    target = try Self.target(Substring(rest[end...]))
  }

  package init(isSecure: Bool, host: String, port: UInt16, target: String) {
    self.isSecure = isSecure
    self.host = host
    self.port = port
    self.target = target
  }

  /// The address, when the host is one.
  package var address: IPAddress? { IPAddress(host) }

  /// The Host field: the port only when the scheme does not imply it.
  package var authority: String {
    let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  package var description: String { "\(isSecure ? "https" : "http")://\(authority)\(target)" }

  /// The path without the query, still escaped.
  package var path: String { String(target.prefix { $0 != "?" }) }

  /// The last component of the path, decoded: what a download is called. Nil when there is none or
  /// it cannot be a file name.
  package var fileName: String? {
    let name: Substring?
    do {
      let decoded = try RequestTarget(path: path)
      name = decoded.namesDirectory ? nil : decoded.relativePath.split(separator: "/").last
    } catch {
      return nil
    }
    return name.map(String.init)
  }

  private static func authority(
    _ text: Substring, defaultPort: UInt16
  ) throws(HTTPURLError) -> (String, UInt16) {
    guard !text.utf8.contains(UInt8(ascii: "@")) else { throw .userInformation }
    guard !text.isEmpty, text.first != ":" else { throw .noHost }
    var host = text
    var portText: Substring?
    if text.first == "[" {
      guard let close = text.firstIndex(of: "]") else { throw .malformedHost(String(text)) }
      host = text[text.index(after: text.startIndex)..<close]
      guard let address = IPAddress(host), case .v6 = address else {
        throw .malformedHost(String(text[...close]))
      }
      let after = text[text.index(after: close)...]
      guard after.isEmpty || after.first == ":" else { throw .malformedHost(String(text)) }
      portText = after.isEmpty ? nil : after.dropFirst()
    } else if let colon = text.firstIndex(of: ":") {
      host = text[..<colon]
      portText = text[text.index(after: colon)...]
    }
    let isName = host.utf8.allSatisfy {
      Grammar.isDigit($0) || ($0 | 0x20) &- UInt8(ascii: "a") < 26 || "-._~".utf8.contains($0)
    }
    guard isName || text.first == "[" else { throw .malformedHost(String(host)) }
    guard let portText else { return (host.lowercased(), defaultPort) }
    guard portText.utf8.allSatisfy(Grammar.isDigit), portText.utf8.count <= 5,
      let port = UInt16(portText), port > 0
    else { throw .malformedPort(String(portText)) }
    return (host.lowercased(), port)
  }

  private static func target(_ text: Substring) throws(HTTPURLError) -> String {
    let source = Array(text.utf8.prefix { $0 != UInt8(ascii: "#") })
    var bytes: [UInt8] = source.first == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")]
    for (index, byte) in source.enumerated() {
      if byte == UInt8(ascii: "%") {
        guard source.count - index > 2, Grammar.hexValue(source[index + 1]) != nil,
          Grammar.hexValue(source[index + 2]) != nil
        else { throw .malformedEscape }
      }
      if byte >= 0x80 || "\"<>\\^`{|}".utf8.contains(byte) {
        PercentEncoding.append(byte, to: &bytes)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func firstIndex(of text: String, in whole: String) -> String.Index? {
    var index = whole.startIndex
    while index < whole.endIndex {
      if whole[index...].hasPrefix(text) { return index }
      index = whole.index(after: index)
    }
    return nil
  }
}
