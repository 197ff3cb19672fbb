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

  private let identities: [Identity]
  private let ticketKeys: TicketKeys
  private let choices: Mutex<TLSServerChoices>

  /// - Parameter identities: at least one; the first is also for names that none of them has.
  package convenience init(_ identities: [Identity]) throws(TLSError) {
    try self.init(identities, TicketKeys())
  }

  init(_ identities: [Identity], _ ticketKeys: TicketKeys) throws(TLSError) {
    guard !identities.isEmpty else { throw TLSError("no certificate") }
    self.identities = identities
    self.ticketKeys = ticketKeys
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

/// The client's side of TLS: whom to believe, and the sessions to go on from. They are believed
/// without another look at a certificate, so they belong to one set of authorities.
package final class TLSClient: Sendable {
  private let context: TLSContext
  private let sessions = ClientSessions()

  /// - Parameter authoritiesPath: a PEM file of certificates to trust instead of the system's.
  package convenience init(authoritiesPath: String? = nil) throws(TLSError) {
    try self.init(authoritiesPath: authoritiesPath, offersVersion13: true)
  }

  init(authoritiesPath: String?, offersVersion13: Bool) throws(TLSError) {
    context = try TLSContext(isClient: true)
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
    SSL_CTX_set_verify(context.pointer, spate_tls_verify_peer, nil)
    spate_tls_tell_sessions(context.pointer) { session, ticket in
      guard let session, let ticket else { return 0 }
      return TLSSession.received(ticket, on: session) ? 1 : 0
    }
    guard spate_tls_offer_alpn(context.pointer) == 0 else { throw TLSError(latching: "ALPN") }
  }

  /// - Parameter serverName: the name, or the literal address, that the certificate must be for.
  func makeSession(to endpoint: Endpoint, serverName: String) -> TLSSession {
    let session = context.makeSession(isClient: true, keeping: context)
    session.expect(serverName: serverName)
    session.resume(from: sessions, ClientSessions.Server(endpoint: endpoint, name: serverName))
    return session
  }
}
