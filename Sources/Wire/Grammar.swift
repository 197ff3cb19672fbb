/// Character classes and small forms of RFC 9110 section 5.6, over the bytes of a head.
enum Grammar {
  static let tab: UInt8 = 0x09
  static let lineFeed: UInt8 = 0x0a
  static let carriageReturn: UInt8 = 0x0d
  static let space: UInt8 = 0x20

  // One bit a byte, so that a test is a shift and a mask and no table is loaded:
  // "!#$%&'*+-.^_`|~", digits and letters.
  private static let tokenLow: UInt64 = 0x03ff_6cfa_0000_0000
  private static let tokenHigh: UInt64 = 0x57ff_ffff_c7ff_fffe

  @inline(__always)
  static func isToken(_ byte: UInt8) -> Bool {
    let shift = UInt64(byte & 63)
    return byte < 64
      ? tokenLow >> shift & 1 != 0 : byte < 128 && tokenHigh >> shift & 1 != 0
  }

  /// Visible characters, space, tab and the bytes from 0x80, which are opaque.
  @inline(__always)
  static func isValue(_ byte: UInt8) -> Bool {
    byte >= space ? byte != 0x7f : byte == tab
  }

  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  @inline(__always)
  static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

  static func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
  }

  static func hexValue(_ byte: UInt8) -> UInt8? {
    if isDigit(byte) { return byte - UInt8(ascii: "0") }
    let letter = byte | 0x20
    return (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(letter)
      ? letter - UInt8(ascii: "a") + 10 : nil
  }

  /// `range` without the spaces and tabs at both ends.
  @inline(__always)
  static func trimmed(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
    var start = range.lowerBound
    var end = range.upperBound
    while start < end, isBlank(bytes[start]) { start += 1 }
    while end > start, isBlank(bytes[end - 1]) { end -= 1 }
    return start..<end
  }

  /// Compares without regard to the case of ASCII letters; `text` is lower case.
  static func matches(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: String) -> Bool {
    guard range.count == text.utf8.count else { return false }
    var index = range.lowerBound
    for byte in text.utf8 {
      guard lowercased(bytes[index]) == byte else { return false }
      index += 1
    }
    return true
  }

  static func firstIndex(of byte: UInt8, in bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    var index = range.lowerBound
    while index < range.upperBound {
      if bytes[index] == byte { return index }
      index += 1
    }
    return nil
  }

  /// Digits and nothing else, at least one; nil also when the value does not fit.
  static func decimal(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard !range.isEmpty else { return nil }
    var value = 0
    for index in range {
      guard isDigit(bytes[index]) else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int(bytes[index] - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  /// Like `decimal`, but a number that does not fit is `Int.max`.
  static func saturatingDecimal(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard !range.isEmpty else { return nil }
    for index in range where !isDigit(bytes[index]) { return nil }
    return decimal(bytes, range) ?? .max
  }

  static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
  }

  /// Calls `body` with each non-empty element of a comma-separated list, trimmed, until it returns
  /// false. Commas inside quoted strings are not understood: only for lists of tokens.
  static func forEachElement(
    of bytes: Span<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Bool
  ) {
    var start = range.lowerBound
    while start <= range.upperBound {
      let comma =
        firstIndex(of: UInt8(ascii: ","), in: bytes, start..<range.upperBound) ?? range.upperBound
      let element = trimmed(bytes, start..<comma)
      if !element.isEmpty, !body(element) { return }
      start = comma + 1
    }
  }
}
