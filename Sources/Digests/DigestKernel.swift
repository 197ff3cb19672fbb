internal import CDigestKernels

/// A way to hash many messages at once. The default of every call, `best`, is right everywhere but
/// in tests and measurements.
package enum DigestKernel: CaseIterable, Sendable {
  /// One message at a time in plain C.
  case portable
  /// The processor's SHA instructions, with several messages woven. Not for MD5.
  case shaInstructions
  /// 8 or 16 messages side by side in 256-bit vectors.
  case avx2
  /// 16 or 32 messages side by side in 512-bit vectors.
  case avx512
  /// The fastest of them for each number of messages; OpenSSL where there is only `portable`.
  case best

  package enum Function: CaseIterable, Sendable { case md5, sha1, sha256 }

  /// Whether the kernel exists for `function` and this processor runs it.
  package func runs(_ function: Function) -> Bool {
    dk_runs(function.algorithm, identifier)
  }

  var identifier: dk_kernel {
    switch self {
    case .portable: DK_PORTABLE
    case .shaInstructions: DK_SHA
    case .avx2: DK_AVX2
    case .avx512: DK_AVX512
    case .best: DK_BEST
    }
  }
}

extension DigestKernel.Function {
  var algorithm: dk_algorithm {
    switch self {
    case .md5: DK_MD5
    case .sha1: DK_SHA1
    case .sha256: DK_SHA256
    }
  }

  var openSSL: DigestAlgorithm {
    switch self {
    case .md5: .md5
    case .sha1: .sha1
    case .sha256: .sha256
    }
  }

  /// Whether `best` has more to offer than plain C, which OpenSSL's assembler beats.
  var hasLanes: Bool { dk_has_lanes(algorithm) }
}
