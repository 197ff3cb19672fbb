import COpenSSL
import Synchronization

/// The server's side of TLS: certificates chosen by the name asked for, and a session for each
/// connection. Shared by all loops, so that a ticket from one is good on the others.
package final class TLSServer: Sendable {
  /// One certificate chain and its key, as PEM files.
  package struct Identity: Hashable, Sendable {
    package let certificatePath: String
    package let keyPath: String

    package init(certificatePath: String, keyPath: String) {
      self.certificatePath = certificatePath
      self.keyPath = keyPath
    }
  }

  /// Where a certificate and its key come from.
  enum Credential {
    case files(Identity)
    case made(PeerIdentity)

    func use(in context: TLSContext) throws(TLSError) {
      switch self {
      case .files(let identity): try identity.use(in: context)
      case .made(let identity): try identity.use(in: context)
      }
    }
  }

  private let identities: [Credential]
  private let ticketKeys = TicketKeys()
  private let choices: Mutex<TLSServerChoices>

  /// - Parameter identities: at least one; the first is also for names that none of them has.
  package init(_ identities: [Identity]) throws(TLSError) {
    guard !identities.isEmpty else { throw TLSError("no certificate") }
    self.identities = identities.map { .files($0) }
    choices = Mutex(try TLSServerChoices(self.identities, ticketKeys))
  }

  /// A peer's: no authority, one certificate.
  package init(_ identity: PeerIdentity) throws(TLSError) {
    identities = [.made(identity)]
    choices = Mutex(try TLSServerChoices(identities, ticketKeys))
  }

  /// Reads the files again, from any thread. Connections that exist keep what they have; on an
  /// error nothing changes.
  package func reload() throws(TLSError) {
    let fresh = try TLSServerChoices(identities, ticketKeys)
    choices.withLock { $0 = fresh }
  }

  func makeSession() -> TLSSession {
    let choices = choices.withLock { $0 }
    return choices.contexts[0].makeSession(isClient: false, keeping: choices)
  }
}

extension TLSServer.Identity {
  func use(in context: TLSContext) throws(TLSError) {
    ERR_clear_error()
    guard SSL_CTX_use_certificate_chain_file(context.pointer, certificatePath) == 1 else {
      throw TLSError(latching: certificatePath)
    }
    guard SSL_CTX_use_PrivateKey_file(context.pointer, keyPath, spate_tls_pem) == 1,
      SSL_CTX_check_private_key(context.pointer) == 1
    else { throw TLSError(latching: keyPath) }
  }
}

/// The client's side of TLS: whom to believe.
package final class TLSClient: Sendable {
  private let context: TLSContext

  /// - Parameter authoritiesPath: a PEM file of certificates to trust instead of the system's.
  package init(authoritiesPath: String? = nil) throws(TLSError) {
    context = try TLSContext(isClient: true)
    ERR_clear_error()
    if let authoritiesPath {
      guard SSL_CTX_load_verify_locations(context.pointer, authoritiesPath, nil) == 1 else {
        throw TLSError(latching: authoritiesPath)
      }
    } else {
      guard SSL_CTX_set_default_verify_paths(context.pointer) == 1 else {
        throw TLSError(latching: "the system's certificates")
      }
    }
    SSL_CTX_set_verify(context.pointer, spate_tls_verify_peer, nil)
    guard spate_tls_offer_alpn(context.pointer) == 0 else { throw TLSError(latching: "ALPN") }
  }

  private init(context: TLSContext) { self.context = context }

  /// For peers: no authority is asked, each session expects one certificate by its fingerprint.
  package static func forPeers() throws(TLSError) -> TLSClient {
    let context = try TLSContext(isClient: true)
    ERR_clear_error()
    SSL_CTX_set_verify(context.pointer, spate_tls_verify_none, nil)
    guard spate_tls_offer_alpn(context.pointer) == 0 else { throw TLSError(latching: "ALPN") }
    return TLSClient(context: context)
  }

  func makeSession(expecting fingerprint: TLSFingerprint) -> TLSSession {
    let session = context.makeSession(isClient: true, keeping: context)
    session.expect(fingerprint)
    return session
  }

  /// - Parameter serverName: the name, or the literal address, that the certificate must be for.
  func makeSession(serverName: String) -> TLSSession {
    let session = context.makeSession(isClient: true, keeping: context)
    session.expect(serverName: serverName)
    return session
  }
}
