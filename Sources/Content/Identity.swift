/// What a package is called everywhere: the root of the SHA-256 Merkle tree over its 16 KiB blocks,
/// BitTorrent v2's `pieces root` (BEP 52). The empty package has 32 zero bytes.
package struct PackageID: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let root: SHA256Digest

  package init(root: SHA256Digest) { self.root = root }

  /// Nil unless `hex` is 64 base-16 digits.
  package init?(hex: some StringProtocol) {
    guard let root = SHA256Digest(hex: hex) else { return nil }
    self.root = root
  }

  package var hex: String { root.hex }
  package var description: String { hex }
  package static func < (left: Self, right: Self) -> Bool { left.root < right.root }
}

/// Names one run of a peer process: 16 bytes drawn at random when it starts. All zero is the origin.
public struct PeerID: Hashable, Sendable, Comparable, CustomStringConvertible {
  package static let byteCount = 16
  public static let origin = PeerID(high: 0, low: 0)

  public let high, low: UInt64

  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Nil unless `hex` is 32 base-16 digits.
  package init?(hex: some StringProtocol) {
    guard let bytes = Hexadecimal.decode(hex), bytes.count == Self.byteCount else { return nil }
    high = bigEndianWord(bytes.span, at: 0)
    low = bigEndianWord(bytes.span, at: 8)
  }

  public static func random(using generator: inout some RandomNumberGenerator) -> PeerID {
    // The origin's id is never drawn: one bit is always set.
    PeerID(high: generator.next() | 1, low: generator.next())
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    appendBigEndian(high, to: &bytes)
    appendBigEndian(low, to: &bytes)
    return bytes
  }

  @inlinable public var isOrigin: Bool { high == 0 && low == 0 }
  public var description: String { Hexadecimal.encode(bytes) }
  public static func < (left: Self, right: Self) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }

  @inlinable
  public static func == (left: Self, right: Self) -> Bool {
    left.high == right.high && left.low == right.low
  }
}
