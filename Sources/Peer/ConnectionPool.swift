import Content
import HTTP
import Reactor
import Transport
import Wire

/// Kept-alive connections of this node, by where they lead. Requests to one place share few
/// connections: a second request waits behind the first, which hides the round trip.
final class ConnectionPool {
  /// Requests sent ahead on one connection.
  static let pipelinedCountMax = 2
  static let connectionCountMaxPerEndpoint = 4
  static let idleTime = Duration.seconds(20)

  private let loop: EventLoop
  private var connections: [Endpoint: [ClientConnection]] = [:]
  private var idleSince: [ObjectIdentifier: Instant] = [:]

  init(_ loop: EventLoop) { self.loop = loop }

  /// A connection for one more request to `endpoint`.
  /// - Parameter isExclusive: it will be busy for as long as it lives, so it is not shared.
  func connection(
    to endpoint: Endpoint, host: String, tls: TLSClient?,
    expecting fingerprint: TLSFingerprint? = nil, isExclusive: Bool = false
  ) -> ClientConnection {
    if isExclusive {
      return ClientConnection(
        loop, to: endpoint, host: host, tls: tls, expecting: fingerprint)
    }
    let open = usable(endpoint)
    if let idle = open.first(where: { $0.outstandingCount == 0 }) { return idle }
    let quietest = open.min { $0.outstandingCount < $1.outstandingCount }
    if let quietest,
      quietest.outstandingCount < Self.pipelinedCountMax
        || open.count >= Self.connectionCountMaxPerEndpoint
    {
      return quietest
    }
    let connection = ClientConnection(
      loop, to: endpoint, host: host, tls: tls, expecting: fingerprint)
    connections[endpoint, default: []].append(connection)
    return connection
  }

  /// Forgets connections that have closed, and closes those nobody used for `idleTime`.
  func sweep(now: Instant) {
    for endpoint in Array(connections.keys) {
      for connection in usable(endpoint) {
        let id = ObjectIdentifier(connection)
        if connection.outstandingCount > 0 {
          idleSince[id] = nil
        } else if let since = idleSince[id] {
          if now - since > Self.idleTime { connection.close() }
        } else {
          idleSince[id] = now
        }
      }
    }
    let alive = Set(connections.values.joined().map { ObjectIdentifier($0) })
    idleSince = idleSince.filter { alive.contains($0.key) }
  }

  func closeAll() {
    for connection in Array(connections.values.joined()) { connection.close() }
    connections = [:]
  }

  private func usable(_ endpoint: Endpoint) -> [ClientConnection] {
    guard let all = connections[endpoint] else { return [] }
    let open = all.filter { $0.isUsable }
    connections[endpoint] = open.isEmpty ? nil : open
    return open
  }
}
