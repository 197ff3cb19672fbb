/// A JSON document (RFC 8259), read strictly: one value and nothing after it, no name twice in an
/// object, no lone surrogates, limits on size and depth.
package enum JSONValue: Hashable, Sendable {
  package static let byteCountMax = 64 * 1024
  package static let depthMax = 16

  case null
  case bool(Bool)
  /// A number without fraction or exponent that fits.
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// What is wrong is thrown with the status `fault`.
  package init(_ bytes: Span<UInt8>, fault: Status = .badGateway) throws(WireError) {
    guard bytes.count <= Self.byteCountMax else {
      throw WireError(fault, "the JSON document is too long")
    }
    var reader = JSONReader(fault: fault)
    self = try reader.value(bytes, depth: 1)
    reader.skipBlanks(bytes)
    guard reader.position == bytes.count else {
      throw WireError(fault, "bytes after the end of the JSON document")
    }
  }

  /// The member of an object; nil when there is none or this is no object.
  package subscript(name: String) -> JSONValue? {
    if case .object(let members) = self { members[name] } else { nil }
  }

  package var string: String? { if case .string(let text) = self { text } else { nil } }
  package var integer: Int? { if case .integer(let value) = self { value } else { nil } }
}

private struct JSONReader {
  private(set) var position = 0
  let fault: Status

  private func refusal(_ what: String) -> WireError {
    WireError(fault, "malformed JSON: \(what) at byte \(position)")
  }

  init(fault: Status) { self.fault = fault }

  private func peek(_ bytes: Span<UInt8>) -> UInt8 {
    position < bytes.count ? bytes[position] : 0
  }

  mutating func skipBlanks(_ bytes: Span<UInt8>) {
    while position < bytes.count,
      Grammar.isBlank(bytes[position]) || bytes[position] == 0x0a
        || bytes[position] == 0x0d
    {
      position += 1
    }
  }

  mutating func value(_ bytes: Span<UInt8>, depth: Int) throws(WireError) -> JSONValue {
    guard depth <= JSONValue.depthMax else { throw refusal("nested too deep") }
    skipBlanks(bytes)
    switch peek(bytes) {
    case UInt8(ascii: "{"): return try object(bytes, depth: depth)
    case UInt8(ascii: "["): return try array(bytes, depth: depth)
    case UInt8(ascii: "\""): return .string(try string(bytes))
    case UInt8(ascii: "t"): return try literal("true", .bool(true), bytes)
    case UInt8(ascii: "f"): return try literal("false", .bool(false), bytes)
    case UInt8(ascii: "n"): return try literal("null", .null, bytes)
    default: return try number(bytes)
    }
  }

  private mutating func literal(
    _ text: String, _ value: JSONValue, _ bytes: Span<UInt8>
  ) throws(WireError) -> JSONValue {
    for byte in text.utf8 {
      guard peek(bytes) == byte else { throw refusal("an unknown word") }
      position += 1
    }
    return value
  }

  private mutating func object(
    _ bytes: Span<UInt8>, depth: Int
  ) throws(WireError) -> JSONValue {
    var members: [String: JSONValue] = [:]
    position += 1
    skipBlanks(bytes)
    if peek(bytes) == UInt8(ascii: "}") {
      position += 1
      return .object(members)
    }
    while true {
      skipBlanks(bytes)
      guard peek(bytes) == UInt8(ascii: "\"") else { throw refusal("a member without a name") }
      let name = try string(bytes)
      skipBlanks(bytes)
      guard peek(bytes) == UInt8(ascii: ":") else { throw refusal("a member without a value") }
      position += 1
      let value = try value(bytes, depth: depth + 1)
      guard members.updateValue(value, forKey: name) == nil else {
        throw refusal("a member twice")
      }
      if try isLast(bytes, close: UInt8(ascii: "}")) { return .object(members) }
    }
  }

  private mutating func array(
    _ bytes: Span<UInt8>, depth: Int
  ) throws(WireError) -> JSONValue {
    var elements: [JSONValue] = []
    position += 1
    skipBlanks(bytes)
    if peek(bytes) == UInt8(ascii: "]") {
      position += 1
      return .array(elements)
    }
    while true {
      elements.append(try value(bytes, depth: depth + 1))
      if try isLast(bytes, close: UInt8(ascii: "]")) { return .array(elements) }
    }
  }

  /// Steps over the comma or the closing bracket after an element.
  private mutating func isLast(_ bytes: Span<UInt8>, close: UInt8) throws(WireError) -> Bool {
    skipBlanks(bytes)
    let byte = peek(bytes)
    guard byte == close || byte == UInt8(ascii: ",") else { throw refusal("no end") }
    position += 1
    return byte == close
  }

  private mutating func string(_ bytes: Span<UInt8>) throws(WireError) -> String {
    var text: [UInt8] = []
    position += 1
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw refusal("a string that is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"):
        text.append(contentsOf: String(try escape(bytes)).utf8)
      case 0..<0x20:
        throw refusal("a control character in a string")
      default:
        text.append(byte)
      }
    }
    throw refusal("a string without end")
  }

  private mutating func escape(_ bytes: Span<UInt8>) throws(WireError) -> Unicode.Scalar {
    let byte = peek(bytes)
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try unicodeEscape(bytes)
    default: throw refusal("an unknown escape")
    }
  }

  private mutating func unicodeEscape(_ bytes: Span<UInt8>) throws(WireError) -> Unicode.Scalar {
    let unit = try hexDigits(bytes)
    if let scalar = Unicode.Scalar(unit) { return scalar }
    // A high surrogate, which only means something before a low one.
    guard unit < 0xdc00, peek(bytes) == UInt8(ascii: "\\") else {
      throw refusal("a lone surrogate")
    }
    position += 1
    guard peek(bytes) == UInt8(ascii: "u") else { throw refusal("a lone surrogate") }
    position += 1
    let low = try hexDigits(bytes)
    guard (0xdc00...0xdfff).contains(low),
      let scalar = Unicode.Scalar(0x1_0000 + (unit - 0xd800) << 10 + (low - 0xdc00))
    else { throw refusal("a lone surrogate") }
    return scalar
  }

  private mutating func hexDigits(_ bytes: Span<UInt8>) throws(WireError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Grammar.hexValue(peek(bytes)) else { throw refusal("an unknown escape") }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  /// `[-] int [frac] [exp]`, no leading zeros.
  private mutating func number(_ bytes: Span<UInt8>) throws(WireError) -> JSONValue {
    let start = position
    if peek(bytes) == UInt8(ascii: "-") { position += 1 }
    let integerStart = position
    try digits(bytes)
    guard bytes[integerStart] != UInt8(ascii: "0") || position == integerStart + 1 else {
      throw refusal("a leading zero")
    }
    let integerEnd = position
    if peek(bytes) == UInt8(ascii: ".") {
      position += 1
      try digits(bytes)
    }
    if peek(bytes) | 0x20 == UInt8(ascii: "e") {
      position += 1
      if peek(bytes) == UInt8(ascii: "+") || peek(bytes) == UInt8(ascii: "-") { position += 1 }
      try digits(bytes)
    }
    let text = Grammar.text(bytes, start..<position)
    if position == integerEnd, let integer = Int(text) { return .integer(integer) }
    guard let value = Double(text), value.isFinite else {
      throw refusal("a number out of range")
    }
    return .number(value)
  }

  private mutating func digits(_ bytes: Span<UInt8>) throws(WireError) {
    guard Grammar.isDigit(peek(bytes)) else { throw refusal("an unknown value") }
    while Grammar.isDigit(peek(bytes)) { position += 1 }
  }
}
