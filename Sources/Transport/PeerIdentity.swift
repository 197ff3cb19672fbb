import COpenSSL

/// A key and a certificate that a peer makes for itself and for one life. No authority stands behind
/// them: who asks knows from the tracker which fingerprint to expect.
package final class PeerIdentity: @unchecked Sendable {
  // Unchecked: nothing changes after `init`, and OpenSSL counts references.
  /// The first 128 bits of SHA-256 over the certificate (RFC 8446 hands it over in DER): forging
  /// one for a given fingerprint takes 2^128 tries.
  package let fingerprint: TLSFingerprint

  private let key: OpaquePointer
  private let certificate: OpaquePointer

  private static let validSeconds = 10 * 365 * 86_400
  /// Clocks differ.
  private static let backdatedSeconds = 86_400

  /// An ECDSA key on P-256 and a certificate signed with it.
  package init() throws(TLSError) {
    ERR_clear_error()
    guard let key = spate_tls_make_key() else { throw TLSError(latching: "a peer's key") }
    self.key = key
    guard let certificate = X509_new() else { preconditionFailure("out of memory") }
    self.certificate = certificate
    guard Self.fill(certificate, key), let fingerprint = TLSFingerprint(of: certificate) else {
      throw TLSError(latching: "a peer's certificate")
    }
    self.fingerprint = fingerprint
  }

  deinit {
    X509_free(certificate)
    EVP_PKEY_free(key)
  }

  private static func fill(_ certificate: OpaquePointer, _ key: OpaquePointer) -> Bool {
    let name = X509_get_subject_name(certificate)
    let label = Array("spate peer".utf8)
    let version3 = 2
    return X509_set_version(certificate, version3) == 1
      && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1
      && X509_gmtime_adj(X509_getm_notBefore(certificate), -backdatedSeconds) != nil
      && X509_gmtime_adj(X509_getm_notAfter(certificate), validSeconds) != nil
      && X509_set_pubkey(certificate, key) == 1
      && X509_NAME_add_entry_by_txt(
        name, "CN", spate_tls_ascii, label, Int32(label.count), -1, 0) == 1
      && X509_set_issuer_name(certificate, name) == 1
      && X509_sign(certificate, key, EVP_sha256()) > 0
  }

  func use(in context: TLSContext) throws(TLSError) {
    ERR_clear_error()
    guard SSL_CTX_use_certificate(context.pointer, certificate) == 1,
      SSL_CTX_use_PrivateKey(context.pointer, key) == 1
    else { throw TLSError(latching: "a peer's certificate") }
  }
}

/// What tells one certificate from all others.
package struct TLSFingerprint: Hashable, Sendable {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  init?(of certificate: OpaquePointer) {
    var high: UInt64 = 0
    var low: UInt64 = 0
    let isMade = withUnsafeTemporaryAllocation(
      of: UInt8.self, capacity: Int(spate_tls_digest_max)
    ) { digest in
      var count: UInt32 = 0
      guard X509_digest(certificate, EVP_sha256(), digest.baseAddress, &count) == 1, count >= 16
      else { return false }
      for index in 0..<8 {
        high = high << 8 | UInt64(digest[index])
        low = low << 8 | UInt64(digest[index + 8])
      }
      return true
    }
    guard isMade else { return nil }
    self.high = high
    self.low = low
  }
}
