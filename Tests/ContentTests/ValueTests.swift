import Testing

@testable import Content

@Suite struct DigestTests {
  private static let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"

  @Test func sha256RoundTrips() throws {
    let digest = try #require(SHA256Digest(hex: Self.hex))
    #expect(digest.hex == Self.hex)
    #expect(digest.bytes == Array(0...30) + [0xff])
    #expect(SHA256Digest(bytes: digest.bytes) == digest)
    #expect(SHA256Digest(words: digest.words) == digest)
    #expect(SHA256Digest(hex: Self.hex.uppercased()) == digest)
    #expect(SHA256Digest(([7] + digest.bytes).span, at: 1) == digest)
    #expect(SHA256Digest.zero < digest && !(digest < digest))
  }

  @Test(arguments: [
    "", "0", "00", String(repeating: "0", count: 63), String(repeating: "0", count: 65),
    String(repeating: "g", count: 64), String(repeating: "0", count: 62) + "+1",
    String(repeating: "0", count: 62) + " 1", String(repeating: "é", count: 32),
    String(repeating: "１", count: 64),
  ])
  func malformedHexIsRefused(text: String) {
    #expect(SHA256Digest(hex: text) == nil)
    #expect(MD5Digest(hex: text) == nil)
    #expect(PackageID(hex: text) == nil)
    #expect(PeerID(hex: text) == nil)
  }

  @Test func md5RoundTrips() throws {
    let text = String(Self.hex.prefix(32))
    let digest = try #require(MD5Digest(hex: text))
    #expect(digest.hex == text && digest.description == text)
    #expect(MD5Digest(bytes: digest.bytes) == digest)
    #expect(MD5Digest(bytes: digest.bytes + [0]) == nil)
    #expect(SHA256Digest(bytes: digest.bytes) == nil)
  }

  @Test func everyByteHasTwoDigits() {
    let bytes = Array(UInt8.min...UInt8.max)
    #expect(Hexadecimal.encode(bytes).utf8.count == 512)
    #expect(Hexadecimal.decode(Hexadecimal.encode(bytes)) == bytes)
    #expect(Hexadecimal.decode("") == [])
    for byte in bytes {
      let text = "0" + String(decoding: [byte], as: UTF8.self)
      let isDigit = "0123456789abcdefABCDEF".utf8.contains(byte)
      #expect((Hexadecimal.decode(text) != nil) == isDigit)
    }
  }

  @Test func noPeerDrawsTheOriginsID() {
    struct Zeros: RandomNumberGenerator { mutating func next() -> UInt64 { 0 } }
    var zeros = Zeros()
    #expect(!PeerID.random(using: &zeros).isOrigin)
    var random = SeededGenerator(seed: 1)
    let peer = PeerID.random(using: &random)
    #expect(PeerID(hex: peer.description) == peer)
    #expect(PeerID(high: 0, low: 0).isOrigin)
    #expect(PeerID(high: 0, low: 9) < PeerID(high: 1, low: 0))
  }
}

@Suite struct ManifestTests {
  private static func manifest(
    name: String = "file", root: SHA256Digest = .zero, byteCount: Int = 0, publisher: String = "",
    path: String = "/file"
  ) -> Manifest? {
    Geometry(byteCount: byteCount).flatMap {
      Manifest(
        name: name, id: PackageID(root: root), geometry: $0, sha256: .zero,
        md5: MD5Digest([UInt8](repeating: 0, count: 16).span), publisher: publisher, path: path,
        modified: 0)
    }
  }

  @Test func textsHaveLimits() {
    let nameMax = String(repeating: "n", count: Manifest.nameByteCountMax)
    let textMax = String(repeating: "t", count: Manifest.provenanceByteCountMax)
    #expect(Self.manifest(name: nameMax, publisher: textMax, path: textMax) != nil)
    #expect(Self.manifest(name: nameMax + "n") == nil)
    #expect(Self.manifest(name: String(repeating: "é", count: 128)) == nil)
    #expect(Self.manifest(publisher: textMax + "t") == nil)
    #expect(Self.manifest(path: textMax + "t") == nil)
  }

  @Test(arguments: ["", ".", "..", "/", "a/b", "a\0b", "a\nb", "a\u{1b}b", "a\u{7f}"])
  func aNameIsOneComponent(name: String) {
    #expect(Self.manifest(name: name) == nil)
  }

  @Test func controlCharactersAreRefusedEverywhere() {
    for value in (0..<0x20).map(UInt8.init) + [0x7f] {
      let text = "a" + String(decoding: [value], as: UTF8.self)
      #expect(Self.manifest(publisher: text) == nil)
      #expect(Self.manifest(path: text) == nil)
    }
    #expect(Self.manifest(name: "...", publisher: "Ünïcode ✓", path: "") != nil)
  }

  @Test func onlyTheEmptyPackageMayBeEmpty() {
    let root = SHA256Digest(words: (0, 0, 0, 1))
    #expect(Self.manifest(root: root, byteCount: 1)?.byteCount == 1)
    #expect(Self.manifest(root: root, byteCount: 0) == nil)
    #expect(Self.manifest(root: .zero, byteCount: 0)?.geometry.pieceCount == 0)
  }
}

@Suite struct InstantTests {
  @Test func ordinaryArithmeticIsExact() {
    let instant = Instant(nanoseconds: 1_000)
    #expect(instant + .nanoseconds(5) == Instant(nanoseconds: 1_005))
    #expect(instant - .microseconds(1) == .zero)
    #expect(instant - Instant(nanoseconds: 1) == .nanoseconds(999))
    #expect(Instant.zero < instant)
  }

  @Test func theEndsOfTheClockHold() {
    let (first, last) = (Instant(nanoseconds: .min), Instant(nanoseconds: .max))
    #expect(last + .seconds(1) == last)
    #expect(first + .seconds(-1) == first)
    #expect(last - .seconds(-1) == last)
    #expect(first - .seconds(1) == first)
    #expect(last - first == .nanoseconds(Int64.max))
    #expect(first - last == .nanoseconds(Int64.min))
    #expect(first - Instant.zero == .nanoseconds(Int64.min))
    #expect(Instant.zero + .seconds(Int64.max) == last)
    #expect(Instant.zero + .seconds(Int64.min) == first)
  }

  @Test func durationsAreCutToNanoseconds() {
    #expect(Duration.seconds(2).nanoseconds == 2_000_000_000)
    #expect(Duration.nanoseconds(-1).nanoseconds == -1)
    #expect(Duration(secondsComponent: 0, attosecondsComponent: 999_999_999).nanoseconds == 0)
    #expect(Duration.nanoseconds(Int64.max).nanoseconds == .max)
    #expect(Duration.nanoseconds(Int64.min).nanoseconds == .min)
    #expect(Duration.seconds(Int64.max).nanoseconds == .max)
    #expect(Duration.seconds(Int64.min).nanoseconds == .min)
    #expect(Duration.milliseconds(1_500).seconds == 1.5)
  }
}
