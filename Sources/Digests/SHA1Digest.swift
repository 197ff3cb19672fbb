internal import Content

/// A SHA-1 value (FIPS 180-4): 20 bytes, an identifier of old protocols, never verified with.
package struct SHA1Digest: Hashable, Sendable, CustomStringConvertible {
  package static let byteCount = 20

  private let words: InlineArray<5, UInt32>

  /// Reads the 20 bytes of `bytes` that start at `offset`; the caller has checked that they exist.
  package init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    words = InlineArray { index in
      let start = offset + index * 4
      return (start..<start + 4).reduce(0) { word, place in word << 8 | UInt32(bytes[place]) }
    }
  }

  package var bytes: [UInt8] {
    (0..<Self.byteCount).map { UInt8(truncatingIfNeeded: words[$0 / 4] >> UInt32(24 - $0 % 4 * 8)) }
  }

  package var hex: String { Hexadecimal.encode(bytes) }
  package var description: String { hex }

  package static func == (left: Self, right: Self) -> Bool {
    (0..<5).allSatisfy { left.words[$0] == right.words[$0] }
  }

  package func hash(into hasher: inout Hasher) {
    for index in 0..<5 { hasher.combine(words[index]) }
  }
}
