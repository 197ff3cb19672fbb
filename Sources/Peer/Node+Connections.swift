import Content
import HTTP
import Reactor
import Swarm
import Transport
import Wire

/// Connections to the origin and to peers.
extension Node {
  /// For bytes of a package of `byteCount`. One of a single piece comes by the connection of the
  /// announces, which is there: they wait for it no longer than another would take to be made.
  func connection(
    to source: PeerID, at address: PeerAddress?, byteCount: Int
  ) -> ClientConnection? {
    if source.isOrigin {
      return byteCount <= Geometry.pieceByteCountMin ? controlConnection() : originConnection()
    }
    return address.flatMap { connection(to: $0) }
  }

  /// Nil when it speaks TLS and we cannot.
  func connection(to address: PeerAddress, isExclusive: Bool = false) -> ClientConnection? {
    let tls = address.fingerprint == nil ? nil : peerTLS
    if address.fingerprint != nil, tls == nil { return nil }
    return pool.connection(
      to: address.endpoint, host: address.host, tls: tls,
      expecting: address.fingerprint, isExclusive: isExclusive)
  }

  func originConnection() -> ClientConnection {
    pool.connection(to: origin.endpoint, host: origin.url.authority, tls: origin.tls)
  }

  /// To the origin, for what must not wait behind a run.
  func controlConnection() -> ClientConnection {
    if let control, control.isUsable { return control }
    let fresh = ClientConnection(
      loop, to: origin.endpoint, host: origin.url.authority, tls: origin.tls)
    control = fresh
    return fresh
  }

  func isControl(_ connection: ClientConnection) -> Bool { connection === control }
}
