import Content
import Posix

/// From what an operator asked for to sockets.
enum ListenPlan {
  private static let everywhere6 = IPAddress.v6(0, 0)
  private static let everywhere4 = IPAddress.v4(0)

  /// "Every address" of version 6 means every address of version 4 too: people who write it mean
  /// the whole machine.
  static func expand(_ asked: OriginEndpoints) -> OriginEndpoints {
    OriginEndpoints(plain: expand(asked.plain), tls: expand(asked.tls))
  }

  private static func expand(_ asked: [Endpoint]) -> [Endpoint] {
    var endpoints: [Endpoint] = []
    for endpoint in asked {
      let twin = Endpoint(address: everywhere4, port: endpoint.port)
      if endpoint.address == everywhere6, !asked.contains(twin) { endpoints.append(twin) }
      endpoints.append(endpoint)
    }
    return endpoints
  }

  /// Sockets that share a port would also share it with another origin, which nobody wants.
  static func refuseTakenPorts(_ endpoints: OriginEndpoints) throws(OriginError) {
    for endpoint in endpoints.all where endpoint.port != 0 {
      do {
        _ = try Socket.listening(on: endpoint, sharesPort: false)
      } catch {
        guard error.isAddressInUse else { continue }
        throw .portTaken(endpoint)
      }
    }
  }

  /// Listens with the first loop, which picks the ports. Where version 6 is missing, version 4 does;
  /// the two of one "everywhere" get one port.
  static func listen(
    _ loop: OriginLoop, on endpoints: OriginEndpoints, sharesPort: Bool
  ) throws(OriginError) -> OriginEndpoints {
    var actual = OriginEndpoints()
    actual.plain = try listen(endpoints.plain) { endpoint throws(OriginError) in
      try loop.listen(on: OriginEndpoints(plain: [endpoint]), sharesPort: sharesPort).plain
    }
    actual.tls = try listen(endpoints.tls) { endpoint throws(OriginError) in
      try loop.listen(on: OriginEndpoints(tls: [endpoint]), sharesPort: sharesPort).tls
    }
    return actual
  }

  private static func listen(
    _ endpoints: [Endpoint], _ open: (Endpoint) throws(OriginError) -> [Endpoint]
  ) throws(OriginError) -> [Endpoint] {
    var actual: [Endpoint] = []
    for endpoint in endpoints {
      var endpoint = endpoint
      let isTwin = endpoint.address == everywhere6 && actual.last?.address == everywhere4
      if isTwin, endpoint.port == 0 { endpoint.port = actual.last?.port ?? 0 }
      do throws(OriginError) {
        actual += try open(endpoint)
      } catch {
        guard isTwin, error.isUnavailable else { throw error }
      }
    }
    return actual
  }
}
