internal import CDigestKernels
package import Content

/// Digests of many messages at once, one core doing several side by side. Messages may have any
/// lengths and addresses; when one ends, the next takes its lane.
package enum LaneDigester {
  package static func sha256(
    of messages: [UnsafeRawBufferPointer], kernel: DigestKernel = .best
  ) -> [SHA256Digest] {
    digests(.sha256, of: messages, kernel) { SHA256Digest($0, at: $1) }
  }

  package static func sha1(
    of messages: [UnsafeRawBufferPointer], kernel: DigestKernel = .best
  ) -> [SHA1Digest] {
    digests(.sha1, of: messages, kernel) { SHA1Digest($0, at: $1) }
  }

  package static func md5(
    of messages: [UnsafeRawBufferPointer], kernel: DigestKernel = .best
  ) -> [MD5Digest] {
    digests(.md5, of: messages, kernel) { MD5Digest($0, at: $1) }
  }

  private static func digests<Digest>(
    _ function: DigestKernel.Function, of messages: [UnsafeRawBufferPointer],
    _ kernel: DigestKernel, _ make: (Span<UInt8>, Int) -> Digest
  ) -> [Digest] {
    precondition(kernel.runs(function), "the kernel runs on this processor")
    if kernel == .best, !function.hasLanes || messages.count == 1 {
      var context = DigestContext(function.openSSL)
      return messages.map { message in
        context.update(message)
        return context.finish { make($0, 0) }
      }
    }
    let size = dk_digest_size(function.algorithm)
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: messages.count * size) { bytes in
      withUnsafeTemporaryAllocation(of: dk_message.self, capacity: messages.count) { list in
        for (index, message) in messages.enumerated() {
          let message = dk_message(bytes: message.baseAddress, count: message.count)
          list.initializeElement(at: index, to: message)
        }
        dk_digest(
          function.algorithm, kernel.identifier, list.baseAddress, messages.count,
          bytes.baseAddress)
      }
      let written = UnsafeBufferPointer(bytes).span
      return messages.indices.map { make(written, $0 * size) }
    }
  }

  /// How many digests of parts are on the stack at a time: a full set of the widest kernel's lanes.
  private static let batchCount = 32

  /// The SHA-256 of each consecutive part of `partByteCount` bytes; the last may be shorter.
  /// Allocates its result and nothing else.
  package static func sha256(
    ofPartsOf bytes: UnsafeRawBufferPointer, partByteCount: Int, kernel: DigestKernel = .best
  ) -> [SHA256Digest] {
    precondition(partByteCount > 0, "a part has bytes")
    precondition(kernel.runs(.sha256), "the kernel runs on this processor")
    let count = bytes.count / partByteCount + (bytes.count % partByteCount > 0 ? 1 : 0)
    if kernel == .best, !DigestKernel.Function.sha256.hasLanes {
      return openSSLDigests(ofPartsOf: bytes, partByteCount: partByteCount, count: count)
    }
    let size = SHA256Digest.byteCount
    return [SHA256Digest](unsafeUninitializedCapacity: count) { digests, made in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: batchCount * size) { scratch in
        while made < count {
          let start = made * partByteCount
          let batch = min(batchCount, count - made)
          let length = min(batch * partByteCount, bytes.count - start)
          let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
          dk_digest_parts(
            DK_SHA256, kernel.identifier, part.baseAddress, length, partByteCount,
            scratch.baseAddress)
          let written = UnsafeBufferPointer(scratch).span
          for index in 0..<batch {
            let digest = SHA256Digest(written, at: index * size)
            digests.initializeElement(at: made + index, to: digest)
          }
          made += batch
        }
      }
    }
  }

  /// The SHA-256 of the 64 bytes of two digests.
  static func sha256(ofPair bytes: UnsafeRawBufferPointer) -> SHA256Digest {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: SHA256Digest.byteCount) { digest in
      dk_digest_parts(
        DK_SHA256, DK_BEST, bytes.baseAddress, bytes.count, bytes.count, digest.baseAddress)
      return SHA256Digest(UnsafeBufferPointer(digest).span)
    }
  }

  /// What `sha256(ofPartsOf:partByteCount:)` does where there are no lanes.
  static func openSSLDigests(
    ofPartsOf bytes: UnsafeRawBufferPointer, partByteCount: Int, count: Int
  ) -> [SHA256Digest] {
    var context = DigestContext(.sha256)
    return (0..<count).map { index in
      let start = index * partByteCount
      let end = min(start + partByteCount, bytes.count)
      context.update(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      return context.finish { SHA256Digest($0) }
    }
  }
}
