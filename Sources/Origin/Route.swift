/// What a path names.
enum Route {
  case file
  /// The path of the file, from its slash on.
  case manifest(Range<Int>)
  case package(Range<Int>)
  case tree(Range<Int>)
  case have(Range<Int>)
  case referral(Range<Int>)
  case announce
  case metrics
  case status
  case health
  case unknown

  private static let reserved = Array("/-/".utf8)
  private static let manifest = Array("manifest/".utf8)
  private static let endpoints: [(prefix: [UInt8], route: @Sendable (Range<Int>) -> Route)] = [
    (Array("package/".utf8), Route.package), (Array("tree/".utf8), Route.tree),
    (Array("have/".utf8), Route.have), (Array("referral/".utf8), Route.referral),
  ]

  init(_ bytes: Span<UInt8>, _ path: Range<Int>) {
    guard Self.hasPrefix(Self.reserved, bytes, path) else {
      self = .file
      return
    }
    let rest = path.lowerBound + Self.reserved.count..<path.upperBound
    for (prefix, route) in Self.endpoints where Self.hasPrefix(prefix, bytes, rest) {
      self = route(rest.lowerBound + prefix.count..<rest.upperBound)
      return
    }
    if Self.hasPrefix(Self.manifest, bytes, rest) {
      // The slash belongs to the file's path.
      self = .manifest(rest.lowerBound + Self.manifest.count - 1..<rest.upperBound)
      return
    }
    let name = bytes.extracting(rest).withUnsafeBufferPointer {
      String(decoding: $0, as: UTF8.self)
    }
    switch name {
    case "announce": self = .announce
    case "metrics": self = .metrics
    case "status": self = .status
    case "health": self = .health
    default: self = .unknown
    }
  }

  private static func hasPrefix(
    _ prefix: [UInt8], _ bytes: Span<UInt8>, _ range: Range<Int>
  ) -> Bool {
    guard range.count >= prefix.count else { return false }
    for (offset, byte) in prefix.enumerated() where bytes[range.lowerBound + offset] != byte {
      return false
    }
    return true
  }
}
