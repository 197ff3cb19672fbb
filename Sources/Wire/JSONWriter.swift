/// Writes one JSON document (RFC 8259) into bytes, member by member. The caller opens and closes
/// objects and arrays; the commas come by themselves.
///
///     var json = JSONWriter()
///     json.object { $0.member("peers", 3) }
package struct JSONWriter: Sendable {
  package private(set) var bytes: [UInt8] = []
  private var needsComma = false

  package init() {}

  package var text: String { String(decoding: bytes, as: UTF8.self) }

  package mutating func object(_ body: (inout JSONWriter) -> Void) {
    nest(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
  }

  package mutating func array(_ body: (inout JSONWriter) -> Void) {
    nest(UInt8(ascii: "["), UInt8(ascii: "]"), body)
  }

  /// The name of the next value in an object.
  package mutating func name(_ name: String) {
    separate()
    appendQuoted(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  package mutating func value(_ value: String) {
    separate()
    appendQuoted(value)
  }

  package mutating func value(_ value: Int) {
    separate()
    HeadWriter.append(value, to: &bytes)
  }

  /// JSON has no infinities: what is not finite is written as null.
  package mutating func value(_ value: Double) {
    guard value.isFinite else {
      null()
      return
    }
    separate()
    HeadWriter.append(value.description, to: &bytes)
  }

  package mutating func value(_ value: Bool) {
    separate()
    HeadWriter.append(value ? "true" : "false", to: &bytes)
  }

  package mutating func null() {
    separate()
    HeadWriter.append("null", to: &bytes)
  }

  package mutating func member(_ name: String, _ value: String) {
    self.name(name)
    self.value(value)
  }

  package mutating func member(_ name: String, _ value: Int) {
    self.name(name)
    self.value(value)
  }

  package mutating func member(_ name: String, _ value: Double) {
    self.name(name)
    self.value(value)
  }

  package mutating func member(_ name: String, _ value: Bool) {
    self.name(name)
    self.value(value)
  }

  package mutating func object(_ name: String, _ body: (inout JSONWriter) -> Void) {
    self.name(name)
    object(body)
  }

  package mutating func array(_ name: String, _ body: (inout JSONWriter) -> Void) {
    self.name(name)
    array(body)
  }

  private mutating func nest(
    _ open: UInt8, _ close: UInt8, _ body: (inout JSONWriter) -> Void
  ) {
    separate()
    bytes.append(open)
    needsComma = false
    body(&self)
    bytes.append(close)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  private mutating func appendQuoted(_ text: String) {
    let quote = UInt8(ascii: "\"")
    let backslash = UInt8(ascii: "\\")
    bytes.append(quote)
    for byte in text.utf8 {
      switch byte {
      case quote, backslash:
        bytes.append(backslash)
        bytes.append(byte)
      case 0x0a: HeadWriter.append("\\n", to: &bytes)
      case 0x0d: HeadWriter.append("\\r", to: &bytes)
      case 0x09: HeadWriter.append("\\t", to: &bytes)
      case 0..<0x20, 0x7f:
        HeadWriter.append("\\u00", to: &bytes)
        bytes.append(PercentEncoding.digit(byte >> 4))
        bytes.append(PercentEncoding.digit(byte & 0xf))
      default: bytes.append(byte)
      }
    }
    bytes.append(quote)
  }
}
