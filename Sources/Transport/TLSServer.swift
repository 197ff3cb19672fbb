import COpenSSL
import Content
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
  private let ticketKeys: TicketKeys
  package let handshakes = TLSHandshakes()
  private let choices: Mutex<TLSServerChoices>

  /// - Parameter identities: at least one; the first is also for names that none of them has.
  package convenience init(_ identities: [Identity]) throws(TLSError) {
    try self.init(identities, TicketKeys())
  }

  init(_ identities: [Identity], _ ticketKeys: TicketKeys) throws(TLSError) {
    guard !identities.isEmpty else { throw TLSError("no certificate") }
    self.identities = identities.map { .files($0) }
    self.ticketKeys = ticketKeys
    choices = Mutex(try TLSServerChoices(self.identities, ticketKeys))
  }

  /// A peer's: no authority, one certificate.
  package init(_ identity: PeerIdentity) throws(TLSError) {
    identities = [.made(identity)]
    ticketKeys = TicketKeys()
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
    let session = choices.contexts[0].makeSession(isClient: false, keeping: choices)
    session.handshakes = handshakes
    return session
  }
}

/// How many handshakes came to their end, by who makes the records since. Any thread.
package final class TLSHandshakes: Sendable {
  private let byKernel = Atomic<Int>(0)
  private let byProcess = Atomic<Int>(0)

  package var kernelCount: Int { byKernel.load(ordering: .relaxed) }
  package var processCount: Int { byProcess.load(ordering: .relaxed) }

  func count(kernelSends: Bool) {
    if kernelSends {
      byKernel.add(1, ordering: .relaxed)
    } else {
      byProcess.add(1, ordering: .relaxed)
    }
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

/// The client's side of TLS: whom to believe, and the sessions to go on from. They are believed
/// without another look at a certificate, so they belong to one set of authorities.
package final class TLSClient: Sendable {
  private let context: TLSContext
  private let sessions = ClientSessions()

  /// - Parameter authoritiesPath: a PEM file of certificates to trust instead of the system's.
  package convenience init(authoritiesPath: String? = nil) throws(TLSError) {
    try self.init(authoritiesPath: authoritiesPath, offersVersion13: true)
  }

  convenience init(authoritiesPath: String?, offersVersion13: Bool) throws(TLSError) {
    try self.init(verifying: true)
    if !offersVersion13 { spate_tls_only_12(context.pointer) }
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
  }

  private init(verifying: Bool) throws(TLSError) {
    context = try TLSContext(isClient: true)
    ERR_clear_error()
    SSL_CTX_set_verify(
      context.pointer, verifying ? spate_tls_verify_peer : spate_tls_verify_none, nil)
    spate_tls_tell_sessions(context.pointer) { session, ticket in
      guard let session, let ticket else { return 0 }
      return TLSSession.received(ticket, on: session) ? 1 : 0
    }
    guard spate_tls_offer_alpn(context.pointer) == 0 else { throw TLSError(latching: "ALPN") }
  }

  /// For peers: no authority is asked, each session expects one certificate by its fingerprint.
  package static func forPeers() throws(TLSError) -> TLSClient { try TLSClient(verifying: false) }

  func makeSession(to endpoint: Endpoint, expecting fingerprint: TLSFingerprint) -> TLSSession {
    let session = context.makeSession(isClient: true, keeping: context)
    session.resume(from: sessions, .init(endpoint: endpoint, whom: .fingerprint(fingerprint)))
    return session
  }

  /// - Parameter serverName: the name, or the literal address, that the certificate must be for.
  func makeSession(to endpoint: Endpoint, serverName: String) -> TLSSession {
    let session = context.makeSession(isClient: true, keeping: context)
    session.expect(serverName: serverName)
    session.resume(from: sessions, .init(endpoint: endpoint, whom: .name(serverName)))
    return session
  }
}
