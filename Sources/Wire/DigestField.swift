package import Content

/// The fields that carry the digest of the whole file.
package enum DigestField {
  /// `Repr-Digest: sha-256=:…:` (RFC 9530 section 3).
  package static func reprDigest(_ digest: SHA256Digest) -> String {
    "sha-256=:\(Base64.encode(digest.bytes)):"
  }

  /// `Digest: SHA-256=…`, the older form (RFC 3230).
  package static func digest(_ digest: SHA256Digest) -> String {
    "SHA-256=\(Base64.encode(digest.bytes))"
  }
}

/// RFC 4648 section 4, with padding.
enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      var word: UInt32 = 0
      for byte in group { word = word << 8 | UInt32(byte) }
      word <<= UInt32(8 * (3 - group.count))
      for place in 0..<4 {
        let digit = Int(word >> UInt32(18 - 6 * place) & 0x3f)
        text.append(place <= group.count ? alphabet[digit] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
