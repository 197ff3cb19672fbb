import Content
import Digests
import Testing

/// Every kernel the machine runs, bit for bit against OpenSSL: random lengths, addresses and
/// numbers of messages, so that lanes fill, empty and hand over in every way.
@Suite struct LaneTests {
  static let caseCount = 10_000
  private static let messageCountMax = 70

  @Test(arguments: DigestKernel.Function.allCases)
  func randomMessages(_ function: DigestKernel.Function) {
    var generator = SeededGenerator.announced("random messages, \(function)")
    let pool = generator.bytes(1 << 16)
    let kernels = DigestKernel.allCases.filter { $0.runs(function) }
    var done = 0
    while done < Self.caseCount {
      pool.withUnsafeBytes { pool in
        let messages = Self.messages(in: pool, using: &generator)
        let expected = messages.map { Self.reference(function, $0) }
        for kernel in kernels {
          #expect(Self.digests(function, messages, kernel) == expected, "\(kernel)")
        }
        done += messages.count
      }
    }
  }

  /// Short ones end often, long ones outlive many others; the odd one is empty.
  private static func messages(
    in pool: UnsafeRawBufferPointer, using generator: inout SeededGenerator
  ) -> [UnsafeRawBufferPointer] {
    let lengthMax = [60, 130, 700, 4_000].randomElement(using: &generator) ?? 60
    let alike = Bool.random(using: &generator)
    let length = Int.random(in: 0...lengthMax, using: &generator)
    return (0..<Int.random(in: 0...messageCountMax, using: &generator)).map { _ in
      let count = alike ? length : Int.random(in: 0...lengthMax, using: &generator)
      let start = Int.random(in: 0...pool.count - count, using: &generator)
      return UnsafeRawBufferPointer(rebasing: pool[start..<start + count])
    }
  }

  private static func digests(
    _ function: DigestKernel.Function, _ messages: [UnsafeRawBufferPointer], _ kernel: DigestKernel
  ) -> [[UInt8]] {
    switch function {
    case .md5: LaneDigester.md5(of: messages, kernel: kernel).map(\.bytes)
    case .sha1: LaneDigester.sha1(of: messages, kernel: kernel).map(\.bytes)
    case .sha256: LaneDigester.sha256(of: messages, kernel: kernel).map(\.bytes)
    }
  }

  private static func reference(
    _ function: DigestKernel.Function, _ message: UnsafeRawBufferPointer
  ) -> [UInt8] {
    switch function {
    case .md5:
      var stream = MD5Stream()
      stream.update(message)
      return stream.finish().bytes
    case .sha1:
      var stream = SHA1Stream()
      stream.update(message)
      return stream.finish().bytes
    case .sha256:
      var stream = SHA256Stream()
      stream.update(message)
      return stream.finish().bytes
    }
  }

  /// Counts around every engine's width, at the lengths around a block's padding.
  @Test(arguments: DigestKernel.allCases) func everyFillingOfTheLanes(_ kernel: DigestKernel) {
    for function in DigestKernel.Function.allCases where kernel.runs(function) {
      for length in [55, 56, 63, 64, 119, 120] {
        let text = SampleBytes.bytes(length)
        text.withUnsafeBytes { message in
          let expected = Self.reference(function, message)
          for count in 0...34 {
            let digests = Self.digests(
              function, Array(repeating: message, count: count), kernel)
            #expect(digests == Array(repeating: expected, count: count))
          }
        }
      }
    }
  }

  @Test(arguments: DigestKernel.allCases) func leaves(_ kernel: DigestKernel) {
    guard kernel.runs(.sha256) else { return }
    let block = Geometry.blockByteCount
    for byteCount in [0, 1, block - 1, block, block + 1, 4 * block, 33 * block + 5] {
      // An address that is no multiple of anything.
      let bytes = SampleBytes.bytes(byteCount + 1)
      let expected = stride(from: 1, to: bytes.count, by: block).map { start in
        SHA256Digest(hashing: Array(bytes[start..<min(start + block, bytes.count)]))
      }
      bytes.withUnsafeBytes { bytes in
        let odd = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        #expect(TreeHash.leaves(of: odd, kernel: kernel) == expected)
      }
    }
  }
}
