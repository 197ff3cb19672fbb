import COpenSSL
import Content
import Synchronization

/// Sessions that servers gave to clients of this program, to go on from with a shorter handshake.
/// In memory only; shared by all loops.
final class ClientSessions: Sendable {
  /// Whose tickets they are. A session is believed without a certificate, so what was checked of
  /// that is part of it.
  struct Server: Hashable, Sendable {
    enum Identity: Hashable, Sendable {
      case name(String)
      case fingerprint(TLSFingerprint)
    }

    let endpoint: Endpoint
    let whom: Identity
  }

  private let shelf = Mutex(SessionShelf<Server, ClientSession>())

  func add(_ session: ClientSession, for server: Server) {
    shelf.withLock { $0.add(session, for: server) }
  }

  /// A ticket of TLS 1.3 is given out once, so that nobody can tell two connections by it (RFC 8446
  /// appendix C.4); a session of 1.2 is the same however often it is used.
  func take(for server: Server) -> ClientSession? {
    shelf.withLock { $0.take(for: server) { $0.isForOneUse } }
  }

  func forget(_ server: Server) { shelf.withLock { $0.removeAll(for: server) } }
}

/// Owns one reference to an `SSL_SESSION`.
final class ClientSession: @unchecked Sendable {
  // Unchecked: OpenSSL changes nothing in a session that is established but its count of references.
  let pointer: OpaquePointer

  init(owning pointer: OpaquePointer) { self.pointer = pointer }
  deinit { SSL_SESSION_free(pointer) }

  var isForOneUse: Bool { spate_tls_session_is_13(pointer) == 1 }
}

/// A few sessions for each of many servers; the newest are used first and kept longest.
struct SessionShelf<Server: Hashable, Session> {
  static var serverCountMax: Int { 256 }
  static var sessionCountMaxPerServer: Int { 8 }

  private var sessions: [Server: [Session]] = [:]
  /// The one that was added to last is at the end.
  private var order: [Server] = []

  var serverCount: Int { order.count }

  mutating func add(_ session: Session, for server: Server) {
    if sessions[server] == nil {
      if order.count == Self.serverCountMax { sessions[order.removeFirst()] = nil }
    } else if order.last != server {
      order.removeAll { $0 == server }
    }
    if order.last != server { order.append(server) }
    sessions[server, default: []].append(session)
    if sessions[server, default: []].count > Self.sessionCountMaxPerServer {
      sessions[server]?.removeFirst()
    }
  }

  mutating func take(for server: Server, isForOneUse: (Session) -> Bool) -> Session? {
    guard let session = sessions[server]?.last else { return nil }
    guard isForOneUse(session) else { return session }
    sessions[server]?.removeLast()
    if sessions[server]?.isEmpty == true { removeAll(for: server) }
    return session
  }

  mutating func removeAll(for server: Server) {
    guard sessions.removeValue(forKey: server) != nil else { return }
    order.removeAll { $0 == server }
  }
}
