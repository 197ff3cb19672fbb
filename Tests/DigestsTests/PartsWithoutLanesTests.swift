import Content
import Testing

@testable import Digests

/// The ways of a processor that has no lanes, on any processor.
@Suite struct PartsWithoutLanesTests {
  @Test(arguments: [1, 99, 100, 101, 1_000]) func openSSLGivesTheSameDigests(_ byteCount: Int) {
    let bytes = SampleBytes.bytes(byteCount)
    bytes.withUnsafeBytes { bytes in
      let ours = LaneDigester.sha256(ofPartsOf: bytes, partByteCount: 100, kernel: .portable)
      let theirs = LaneDigester.openSSLDigests(
        ofPartsOf: bytes, partByteCount: 100, count: (byteCount + 99) / 100)
      #expect(ours == theirs)
    }
  }
}
