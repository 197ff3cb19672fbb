import Content
import Digests

/// The content of the vectors' files: byte i is (7 i + 13 (i >> 8) + 29 (i >> 16)) mod 256.
enum SampleBytes {
  private static let chunks: [[UInt8]] = (0..<256).map { chunk in
    (0..<256).map { UInt8(truncatingIfNeeded: 7 * $0 + chunk) }
  }

  /// `count` bytes from `offset`, a multiple of 256.
  static func bytes(_ count: Int, at offset: Int = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 256)
    var number = offset >> 8
    while bytes.count < count {
      bytes += chunks[(13 * number + 29 * (number >> 8)) & 255]
      number += 1
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }
}

/// SplitMix64: small, and the same everywhere for a seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// A new seed, printed so that a failure can be run again.
  static func announced(_ test: String) -> SeededGenerator {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("\(test): seed \(seed)")
    return SeededGenerator(seed: seed)
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) }
    }
    return Array(bytes.prefix(count))
  }
}

extension SHA256Digest {
  /// By OpenSSL, in one piece: what the kernels are compared with.
  init(hashing bytes: [UInt8]) {
    var stream = SHA256Stream()
    bytes.withUnsafeBytes { stream.update($0) }
    self = stream.finish()
  }
}
