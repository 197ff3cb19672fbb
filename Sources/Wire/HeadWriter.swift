package import Content

/// Writes heads into a caller's buffer: literals, integers digit by digit, no intermediate text.
///
/// A head is a start line, fields, and `end`. A control character in a value is written as a space
/// (RFC 9110 section 5.5), so no value can end its line.
package enum HeadWriter {
  /// `HTTP/1.1 200 OK`.
  package static func startResponse(_ status: Status, to bytes: inout [UInt8]) {
    switch status.code {
    case 200: append("HTTP/1.1 200 OK\r\n", to: &bytes)
    case 206: append("HTTP/1.1 206 Partial Content\r\n", to: &bytes)
    case 304: append("HTTP/1.1 304 Not Modified\r\n", to: &bytes)
    case 404: append("HTTP/1.1 404 Not Found\r\n", to: &bytes)
    case 503: append("HTTP/1.1 503 Service Unavailable\r\n", to: &bytes)
    default:
      append("HTTP/1.1 ", to: &bytes)
      append(Int(status.code), to: &bytes)
      bytes.append(Grammar.space)
      append(status.phrase, to: &bytes)
      appendLineEnd(to: &bytes)
    }
  }

  /// The request line and Host. `target` is a percent-encoded path with its query; whatever could
  /// break the line is escaped once more.
  package static func startRequest(
    _ method: Method, target: String, authority: String, to bytes: inout [UInt8]
  ) {
    append(method.rawValue, to: &bytes)
    bytes.append(Grammar.space)
    for byte in target.utf8 {
      if byte > Grammar.space, byte < 0x7f {
        bytes.append(byte)
      } else {
        PercentEncoding.append(byte, to: &bytes)
      }
    }
    append(" HTTP/1.1\r\n", to: &bytes)
    field(.host, authority, to: &bytes)
  }

  package static func field(_ name: FieldName, _ value: String, to bytes: inout [UInt8]) {
    startField(name, to: &bytes)
    if value.utf8.allSatisfy(Grammar.isValue) {
      append(value, to: &bytes)
    } else {
      for byte in value.utf8 { bytes.append(Grammar.isValue(byte) ? byte : Grammar.space) }
    }
    appendLineEnd(to: &bytes)
  }

  package static func field(_ name: FieldName, _ value: Int, to bytes: inout [UInt8]) {
    startField(name, to: &bytes)
    append(value, to: &bytes)
    appendLineEnd(to: &bytes)
  }

  /// `value` is text that was made ready before, such as a date or an entity tag; it has no control
  /// characters.
  package static func field(_ name: FieldName, _ value: [UInt8], to bytes: inout [UInt8]) {
    startField(name, to: &bytes)
    bytes.append(contentsOf: value)
    appendLineEnd(to: &bytes)
  }

  /// `Range: bytes=0-65535`.
  package static func range(_ range: ByteRange, to bytes: inout [UInt8]) {
    startField(.range, to: &bytes)
    append("bytes=", to: &bytes)
    append(range.offset, to: &bytes)
    bytes.append(UInt8(ascii: "-"))
    append(range.last, to: &bytes)
    appendLineEnd(to: &bytes)
  }

  /// `Content-Range: bytes 0-65535/1000000`, or `bytes */1000000` when `range` is nil (416).
  package static func contentRange(
    _ range: ByteRange?, of byteCount: Int, to bytes: inout [UInt8]
  ) {
    startField(.contentRange, to: &bytes)
    append("bytes ", to: &bytes)
    if let range {
      append(range.offset, to: &bytes)
      bytes.append(UInt8(ascii: "-"))
      append(range.last, to: &bytes)
    } else {
      bytes.append(UInt8(ascii: "*"))
    }
    bytes.append(UInt8(ascii: "/"))
    append(byteCount, to: &bytes)
    appendLineEnd(to: &bytes)
  }

  /// The empty line.
  package static func end(to bytes: inout [UInt8]) { appendLineEnd(to: &bytes) }

  /// The line before each part of a chunked body: `1f4 CRLF`. After the part comes `chunkEnd`.
  package static func chunkStart(byteCount: Int, to bytes: inout [UInt8]) {
    precondition(byteCount > 0, "an empty chunk would end the body")
    var shift = (Int.bitWidth - 1 - byteCount.leadingZeroBitCount) / 4 * 4
    while shift >= 0 {
      bytes.append(PercentEncoding.digit(UInt8(truncatingIfNeeded: byteCount >> shift) & 0xf))
      shift -= 4
    }
    appendLineEnd(to: &bytes)
  }

  package static let chunkEnd: [UInt8] = Array("\r\n".utf8)
  package static let lastChunk: [UInt8] = Array("0\r\n\r\n".utf8)

  static func startField(_ name: FieldName, to bytes: inout [UInt8]) {
    append(name.text, to: &bytes)
    append(": ", to: &bytes)
  }

  static func appendLineEnd(to bytes: inout [UInt8]) {
    bytes.append(Grammar.carriageReturn)
    bytes.append(Grammar.lineFeed)
  }

  static func append(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: text.utf8)
  }

  /// Decimal digits, with a sign when negative.
  static func append(_ value: Int, to bytes: inout [UInt8]) {
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    var rest = value.magnitude
    var divisor: UInt = 1
    while rest / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / divisor))
      rest %= divisor
      divisor /= 10
    }
  }
}
