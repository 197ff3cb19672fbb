import Content
import Digests
import Testing

/// The messages of the standards' examples: those of FIPS 180-4 with NIST's empty one and its
/// million letters, and the longest of RFC 1321, A.5. The standards print the answers of their own
/// functions; those of the others are GNU coreutils'.
@Suite struct KnownAnswerTests {
  struct Answer: Sendable {
    let message: String
    let md5, sha1, sha256: String
  }

  static let answers = [
    Answer(
      message: "", md5: "d41d8cd98f00b204e9800998ecf8427e",
      sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
      sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    Answer(
      message: "abc", md5: "900150983cd24fb0d6963f7d28e17f72",
      sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
      sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    Answer(
      message: "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      md5: "8215ef0796a20bcaaae116d3876c664a",
      sha1: "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
      sha256: "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    Answer(
      message: String(repeating: "1234567890", count: 8),
      md5: "57edf4a22be3c955ac49da2e2107b67a",
      sha1: "50abf5706a150990a08b2c5ea40fa0e585554732",
      sha256: "f371bc4a311f2b009eef952dd83ca80e2b60026c8e935592d0f9c308453c813e"),
    Answer(
      message: String(repeating: "a", count: 1_000_000),
      md5: "7707d6ae4e027c70eea2a935c2296f21",
      sha1: "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
      sha256: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
  ]

  @Test(arguments: answers.indices) func streams(_ index: Int) {
    let answer = Self.answers[index]
    let bytes = Array(answer.message.utf8)
    var md5 = MD5Stream()
    var sha1 = SHA1Stream()
    var sha256 = SHA256Stream()
    bytes.withUnsafeBytes { whole in
      for part in [whole.prefix(bytes.count / 3), whole.dropFirst(bytes.count / 3)] {
        md5.update(UnsafeRawBufferPointer(rebasing: part))
        sha1.update(UnsafeRawBufferPointer(rebasing: part))
        sha256.update(UnsafeRawBufferPointer(rebasing: part))
      }
    }
    #expect(md5.finish().hex == answer.md5)
    #expect(sha1.finish().hex == answer.sha1)
    #expect(sha256.finish().hex == answer.sha256)
  }

  @Test func aFinishedStreamStartsAnew() {
    var stream = SHA256Stream()
    Array("something else".utf8).withUnsafeBytes { stream.update($0) }
    _ = stream.finish()
    Array("abc".utf8).withUnsafeBytes { stream.update($0) }
    #expect(stream.finish().hex == Self.answers[1].sha256)
    #expect(stream.finish().hex == Self.answers[0].sha256)
  }

  @Test(arguments: DigestKernel.allCases) func kernels(_ kernel: DigestKernel) {
    let texts = Self.answers.map { Array($0.message.utf8) }
    withMessages(texts) { messages in
      if kernel.runs(.md5) {
        let digests = LaneDigester.md5(of: messages, kernel: kernel)
        #expect(digests.map(\.hex) == Self.answers.map(\.md5))
      }
      if kernel.runs(.sha1) {
        let digests = LaneDigester.sha1(of: messages, kernel: kernel)
        #expect(digests.map(\.hex) == Self.answers.map(\.sha1))
      }
      if kernel.runs(.sha256) {
        let digests = LaneDigester.sha256(of: messages, kernel: kernel)
        #expect(digests.map(\.hex) == Self.answers.map(\.sha256))
      }
    }
  }

  @Test func theKernelsEveryProcessorHas() {
    for function in DigestKernel.Function.allCases {
      #expect(DigestKernel.portable.runs(function))
      #expect(DigestKernel.best.runs(function))
    }
    #expect(!DigestKernel.shaInstructions.runs(.md5))
  }
}

/// Calls `body` with the bytes of all `texts`, which stay where they are meanwhile.
func withMessages(_ texts: [[UInt8]], _ body: ([UnsafeRawBufferPointer]) -> Void) {
  let joined = texts.flatMap { $0 }
  joined.withUnsafeBytes { bytes in
    var start = 0
    var messages: [UnsafeRawBufferPointer] = []
    for text in texts {
      messages.append(UnsafeRawBufferPointer(rebasing: bytes[start..<start + text.count]))
      start += text.count
    }
    body(messages)
  }
}
