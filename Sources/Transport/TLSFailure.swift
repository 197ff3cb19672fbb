import COpenSSL

/// What a TLS context could not be made of: a file, a key, a name.
package struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }

  /// `what`, and what OpenSSL had to say about it.
  init(latching what: String) { description = "\(what): \(TLSFailure.latchedText())" }
}

/// Why a session ended that should not have.
enum TLSFailure {
  /// The other side was gone, with or without a word of TLS.
  case connectionLost
  case refused(String)

  var closeReason: CloseReason {
    switch self {
    case .connectionLost: .remoteClosed
    case .refused(let text): .tls(text)
    }
  }

  /// Reads OpenSSL's queue of errors, which must have been empty before the call that failed.
  static func latched(_ session: OpaquePointer) -> TLSFailure {
    if spate_tls_is_unexpected_end(ERR_peek_error()) != 0 {
      ERR_clear_error()
      return .connectionLost
    }
    let verification = SSL_get_verify_result(session)
    var text = latchedText()
    if verification != 0, let reason = X509_verify_cert_error_string(verification) {
      text += " (\(String(cString: reason)))"
    }
    return .refused(text)
  }

  static func latchedText() -> String {
    let code = ERR_get_error()
    ERR_clear_error()
    guard code != 0 else { return "no reason given" }
    guard let reason = ERR_reason_error_string(code) else { return "error \(code)" }
    return String(cString: reason)
  }
}
