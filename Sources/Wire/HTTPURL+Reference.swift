/// References, as `Location` has them (RFC 3986 section 5).
extension HTTPURL {
  /// What `reference` means when this URL's document has it: a whole URL, `//host/path`, `/path`,
  /// `path` or `?query`. Its fragment is dropped, `.` and `..` are resolved.
  package func resolving(_ reference: String) throws(HTTPURLError) -> HTTPURL {
    let text = Substring(reference.prefix { $0 != "#" })
    if Self.hasScheme(text) { return try HTTPURL(parsing: String(text)) }
    let scheme = isSecure ? "https:" : "http:"
    if text.hasPrefix("//") { return try HTTPURL(parsing: scheme + text) }
    guard let first = text.first else { return self }
    let joined: String
    switch first {
    case "/": joined = String(text)
    case "?": joined = path + text
    default:
      let folder = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[...$0] } ?? "/"
      joined = String(folder + text)
    }
    let target = joined.prefix { $0 != "?" }
    let query = joined[target.endIndex...]
    let resolved = Self.removingDotSegments(target) + query
    return try HTTPURL(parsing: "\(scheme)//\(authority)\(resolved)")
  }

  /// A scheme comes before any slash: letters, digits, `+`, `-`, `.` and a colon.
  private static func hasScheme(_ text: Substring) -> Bool {
    guard let end = text.utf8.firstIndex(where: { "/?:".utf8.contains($0) }),
      text.utf8[end] == UInt8(ascii: ":")
    else { return false }
    return end != text.startIndex
  }

  private static func removingDotSegments(_ path: Substring) -> String {
    var kept: [Substring] = []
    let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    for (index, segment) in zip(1..., segments) {
      let isLast = index == segments.count
      switch segment {
      case ".":
        if isLast { kept.append("") }
      case "..":
        _ = kept.popLast()
        if isLast { kept.append("") }
      default: kept.append(segment)
      }
    }
    return "/" + kept.joined(separator: "/")
  }
}
