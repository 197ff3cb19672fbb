import Content
import HTTP
import Posix
import Reactor
import Transport
import Wire

/// Where the origin is: the name its URL gives it, and the addresses that name resolved to.
final class OriginAddress {
  let url: HTTPURL
  let tls: TLSClient?
  private(set) var endpoints: [Endpoint]
  private var current = 0

  init(_ url: HTTPURL, tls: TLSClient?) throws(Resolver.Failure) {
    self.url = url
    self.tls = tls
    endpoints = try Resolver.resolve(host: url.host, port: url.port)
  }

  var endpoint: Endpoint { endpoints[current] }

  /// The address did not answer; the next one is tried from now on.
  func advance(from failed: Endpoint) {
    if failed == endpoint { current = (current + 1) % endpoints.count }
  }
}
