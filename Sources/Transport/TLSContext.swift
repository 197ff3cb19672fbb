import COpenSSL
import Posix

/// Owns an `SSL_CTX`. It is set up before it is shared and only counted references change after.
final class TLSContext: @unchecked Sendable {
  // Unchecked: OpenSSL locks what changes in a context that is in use.
  let pointer: OpaquePointer
  /// Sessions write to their sockets themselves, so that the kernel can make the records.
  let wantsKernelTLS: Bool

  /// TLS 1.2 suites with forward secrecy and authenticated encryption only (RFC 7540 appendix A
  /// lists the rest); AES-128 first, because it costs least.
  private static let suites12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
  private static let suites13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

  init(isClient: Bool) throws(TLSError) {
    ERR_clear_error()
    guard let pointer = SSL_CTX_new(isClient ? TLS_client_method() : TLS_server_method()) else {
      throw TLSError(latching: "TLS context")
    }
    self.pointer = pointer
    wantsKernelTLS = Machine.hasKernelTLS
    guard spate_tls_configure(pointer, wantsKernelTLS ? 1 : 0) == 1,
      SSL_CTX_set_cipher_list(pointer, Self.suites12) == 1,
      SSL_CTX_set_ciphersuites(pointer, Self.suites13) == 1
    else { throw TLSError(latching: "TLS context") }
  }

  deinit { SSL_CTX_free(pointer) }

  func makeSession(isClient: Bool, keeping kept: AnyObject) -> TLSSession {
    guard let session = SSL_new(pointer) else { preconditionFailure("out of memory") }
    if isClient { SSL_set_connect_state(session) } else { SSL_set_accept_state(session) }
    return TLSSession(
      session, isClient: isClient, usesSocketDirectly: wantsKernelTLS, keeping: kept)
  }
}

extension TLSContext {
  /// A server's, with its certificates and what clients may ask of it.
  static func server(
    _ identity: TLSServer.Credential, _ choices: TLSServerChoices
  ) throws(TLSError) -> TLSContext {
    let context = try TLSContext(isClient: false)
    try identity.use(in: context)
    spate_tls_no_session_cache(context.pointer)
    spate_tls_accept_alpn(context.pointer)
    // Tickets of one program are good on all its contexts.
    let program = Array("spate".utf8)
    guard SSL_CTX_set_session_id_context(context.pointer, program, UInt32(program.count)) == 1,
      SSL_CTX_set_num_tickets(context.pointer, 1) == 1,
      SSL_CTX_set_ex_data(context.pointer, 0, Unmanaged.passUnretained(choices).toOpaque()) == 1
    else { throw TLSError(latching: "TLS context") }
    spate_tls_on_server_name(context.pointer) { session in
      guard let session else { return SSL_TLSEXT_ERR_NOACK }
      TLSServerChoices.of(session)?.chooseContext(for: session)
      return SSL_TLSEXT_ERR_OK
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context.pointer) {
      session, name, vector, cipher, code, encrypts in
      guard let session, let name, let vector, let cipher, let code,
        let keys = TLSServerChoices.of(session)?.ticketKeys
      else { return -1 }
      return keys.prepare(name, vector, cipher, code, encrypts: encrypts == 1)
    }
    return context
  }

  /// Whether the certificate is for this name, wildcards included (RFC 6125).
  func isFor(_ name: UnsafePointer<CChar>) -> Bool {
    guard let certificate = SSL_CTX_get0_certificate(pointer) else { return false }
    return X509_check_host(certificate, name, 0, 0, nil) == 1
  }
}

/// What a server's contexts share: each other, for the choice by name, and the keys of the tickets.
final class TLSServerChoices: @unchecked Sendable {
  // Unchecked: `contexts` is set once, before the first session.
  private(set) var contexts: [TLSContext] = []
  let ticketKeys: TicketKeys

  init(_ identities: [TLSServer.Credential], _ ticketKeys: TicketKeys) throws(TLSError) {
    self.ticketKeys = ticketKeys
    for identity in identities { contexts.append(try .server(identity, self)) }
  }

  /// The session's owner keeps these alive.
  static func of(_ session: OpaquePointer) -> TLSServerChoices? {
    guard let context = SSL_get_SSL_CTX(session), let choices = SSL_CTX_get_ex_data(context, 0)
    else { return nil }
    return Unmanaged<TLSServerChoices>.fromOpaque(choices).takeUnretainedValue()
  }

  /// The first context whose certificate has the name asked for; else the session keeps its own.
  func chooseContext(for session: OpaquePointer) {
    guard contexts.count > 1, let name = spate_tls_server_name(session),
      let context = contexts.first(where: { $0.isFor(name) })
    else { return }
    SSL_set_SSL_CTX(session, context.pointer)
  }
}
