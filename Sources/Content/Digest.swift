/// A SHA-256 value (FIPS 180-4): 32 bytes, and the only digest anything is verified with.
package struct SHA256Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
  package static let byteCount = 32
  /// All zero: the padding leaf of BEP 52, and the root of an empty file.
  package static let zero = SHA256Digest(words: (0, 0, 0, 0))

  private let a, b, c, d: UInt64

  /// The 32 bytes as four big-endian words, which is how hash functions hold them.
  package init(words: (UInt64, UInt64, UInt64, UInt64)) {
    (a, b, c, d) = words
  }

  package var words: (UInt64, UInt64, UInt64, UInt64) { (a, b, c, d) }

  /// Reads the 32 bytes of `bytes` that start at `offset`; the caller has checked that they exist.
  package init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    self.init(
      words: (
        bigEndianWord(bytes, at: offset), bigEndianWord(bytes, at: offset + 8),
        bigEndianWord(bytes, at: offset + 16), bigEndianWord(bytes, at: offset + 24)
      ))
  }

  /// Nil unless `bytes` holds exactly 32.
  package init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init(bytes.span)
  }

  package init?(hex: some StringProtocol) {
    guard let bytes = Hexadecimal.decode(hex) else { return nil }
    self.init(bytes: bytes)
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  package func append(to bytes: inout [UInt8]) {
    let words = (a.bigEndian, b.bigEndian, c.bigEndian, d.bigEndian)
    withUnsafeBytes(of: words) { bytes.append(contentsOf: $0) }
  }

  package var hex: String { Hexadecimal.encode(bytes) }
  package var description: String { hex }

  package static func < (left: Self, right: Self) -> Bool {
    (left.a, left.b, left.c, left.d) < (right.a, right.b, right.c, right.d)
  }
}

/// An MD5 value (RFC 1321): 16 bytes, shown to people and old tools, never verified with.
package struct MD5Digest: Hashable, Sendable, CustomStringConvertible {
  package static let byteCount = 16

  private let a, b: UInt64

  /// Reads the 16 bytes of `bytes` that start at `offset`; the caller has checked that they exist.
  package init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    a = bigEndianWord(bytes, at: offset)
    b = bigEndianWord(bytes, at: offset + 8)
  }

  /// Nil unless `bytes` holds exactly 16.
  package init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init(bytes.span)
  }

  package init?(hex: some StringProtocol) {
    guard let bytes = Hexadecimal.decode(hex) else { return nil }
    self.init(bytes: bytes)
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    appendBigEndian(a, to: &bytes)
    appendBigEndian(b, to: &bytes)
    return bytes
  }

  package var hex: String { Hexadecimal.encode(bytes) }
  package var description: String { hex }
}

func bigEndianWord(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
  var word: UInt64 = 0
  for index in 0..<8 { word = word << 8 | UInt64(bytes[offset + index]) }
  return word
}

func appendBigEndian(_ word: UInt64, to bytes: inout [UInt8]) {
  withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
}
