internal import COpenSSL

/// A hash function of OpenSSL, fetched once: a fetch walks the providers, a use does not.
///
/// The handle is immutable and lives as long as the process, so every thread may read it.
struct DigestAlgorithm: @unchecked Sendable {
  static let sha256 = DigestAlgorithm(name: "SHA256", byteCount: 32)
  static let sha1 = DigestAlgorithm(name: "SHA1", byteCount: 20)
  static let md5 = DigestAlgorithm(name: "MD5", byteCount: 16)

  /// The longest digest of the three.
  static let byteCountMax = 32

  fileprivate let handle: OpaquePointer
  let byteCount: Int

  private init(name: StaticString, byteCount: Int) {
    let found = name.withUTF8Buffer { text in
      text.withMemoryRebound(to: CChar.self) { EVP_MD_fetch(nil, $0.baseAddress, nil) }
    }
    guard let found else { preconditionFailure("this OpenSSL provides no \(name)") }
    handle = found
    self.byteCount = byteCount
  }
}

/// The one owner of an `EVP_MD_CTX`: a message on its way to its digest.
///
/// Sendable because it cannot be copied: whoever holds it holds the only way to the context.
struct DigestContext: ~Copyable, @unchecked Sendable {
  private let algorithm: DigestAlgorithm
  private let context: OpaquePointer

  init(_ algorithm: DigestAlgorithm) {
    guard let context = EVP_MD_CTX_new() else { preconditionFailure("out of memory") }
    self.algorithm = algorithm
    self.context = context
    start()
  }

  deinit { EVP_MD_CTX_free(context) }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    let updated = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    precondition(updated == 1, "a started context takes bytes")
  }

  /// Gives the digest's bytes to `body`, and begins a new message.
  mutating func finish<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    let result = withUnsafeTemporaryAllocation(
      of: UInt8.self, capacity: DigestAlgorithm.byteCountMax
    ) { digest in
      let finished = EVP_DigestFinal_ex(context, digest.baseAddress, nil)
      precondition(finished == 1, "a started context has a digest")
      let written = UnsafeBufferPointer(rebasing: digest.prefix(algorithm.byteCount))
      return body(written.span)
    }
    start()
    return result
  }

  private func start() {
    let started = EVP_DigestInit_ex2(context, algorithm.handle, nil)
    precondition(started == 1, "a fetched algorithm starts")
  }
}
