/// The name of a file, taken from the path of a request: relative to the root that is served,
/// decoded, and without anything that could lead elsewhere.
///
/// Refused with 400: `..` in any spelling, an escaped `/`, `\` in any spelling, control characters,
/// escapes that are not two base-16 digits, and names that are not UTF-8. Empty components and `.`
/// are left out.
package struct RequestTarget: Hashable, Sendable {
  /// Components joined by `/`, none at either end; empty for the root itself.
  package let relativePath: String
  /// The path ended in `/`.
  package let namesDirectory: Bool

  /// Reads the path in `range` of `bytes`, which begins with `/` or is empty.
  package init(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(WireError) {
    var name: [UInt8] = []
    name.reserveCapacity(range.count)
    var position = range.lowerBound
    while position < range.upperBound {
      guard bytes[position] == UInt8(ascii: "/") else {
        throw WireError(.badRequest, "the path does not begin with /")
      }
      let start = position + 1
      let rest = start..<range.upperBound
      let end = Grammar.firstIndex(of: UInt8(ascii: "/"), in: bytes, rest) ?? range.upperBound
      try Self.append(bytes, start..<end, to: &name)
      position = end
    }
    guard let text = String(validating: name, as: UTF8.self) else {
      throw WireError(.badRequest, "the path is not UTF-8")
    }
    relativePath = text
    namesDirectory = range.isEmpty || bytes[range.upperBound - 1] == UInt8(ascii: "/")
  }

  /// Reads a percent-encoded path such as that of a URL.
  package init(path: String) throws(WireError) {
    let bytes = Array(path.utf8)
    try self.init(bytes.span, 0..<bytes.count)
  }

  private static func append(
    _ bytes: Span<UInt8>, _ component: Range<Int>, to name: inout [UInt8]
  ) throws(WireError) {
    guard let decoded = PercentEncoding.decode(bytes, component) else {
      throw WireError(.badRequest, "an escape in the path is malformed")
    }
    for byte in decoded {
      guard byte >= Grammar.space, byte != 0x7f else {
        throw WireError(.badRequest, "a control character in the path")
      }
      guard byte != UInt8(ascii: "/"), byte != UInt8(ascii: "\\") else {
        throw WireError(.badRequest, "an escaped slash or a backslash in the path")
      }
    }
    if decoded.isEmpty || decoded == [UInt8(ascii: ".")] { return }
    guard decoded != [UInt8(ascii: "."), UInt8(ascii: ".")] else {
      throw WireError(.badRequest, ".. in the path")
    }
    if !name.isEmpty { name.append(UInt8(ascii: "/")) }
    name.append(contentsOf: decoded)
  }
}

/// `name=value` pairs of a query, decoded, in order.
package struct QueryItem: Hashable, Sendable {
  package static let countMax = 32

  package let name: String
  /// Empty when there is no `=`.
  package let value: String

  package static func parse(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(WireError)
    -> [QueryItem]
  {
    var items: [QueryItem] = []
    var start = range.lowerBound
    while start < range.upperBound {
      let rest = start..<range.upperBound
      let end = Grammar.firstIndex(of: UInt8(ascii: "&"), in: bytes, rest) ?? range.upperBound
      if start < end {
        guard items.count < countMax else {
          throw WireError(.badRequest, "too many items in the query")
        }
        items.append(try QueryItem(bytes, start..<end))
      }
      start = end + 1
    }
    return items
  }

  private init(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(WireError) {
    let equals =
      Grammar.firstIndex(of: UInt8(ascii: "="), in: bytes, range) ?? range.upperBound
    let valueStart = min(equals + 1, range.upperBound)
    guard
      let nameBytes = PercentEncoding.decode(
        bytes, range.lowerBound..<equals, plusIsSpace: true),
      let valueBytes = PercentEncoding.decode(
        bytes, valueStart..<range.upperBound, plusIsSpace: true),
      let name = String(validating: nameBytes, as: UTF8.self),
      let value = String(validating: valueBytes, as: UTF8.self)
    else { throw WireError(.badRequest, "an escape in the query is malformed") }
    self.name = name
    self.value = value
  }
}
