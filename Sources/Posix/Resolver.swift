import CLinux
package import Content

/// Names to addresses, by the system's resolver. Waits for the network: not on a loop.
package enum Resolver {
  package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    package let host: String
    package let reason: String

    package var description: String { "cannot resolve \(host): \(reason)" }
  }

  /// In the order in which they should be tried; a literal address is itself. Never empty.
  package static func resolve(host: String, port: UInt16) throws(Failure) -> [Endpoint] {
    if let address = IPAddress(host) { return [Endpoint(address: address, port: port)] }
    guard !host.utf8.contains(0) else { throw Failure(host: host, reason: "not a name") }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else { throw Failure(host: host, reason: String(cString: gai_strerror(code))) }
    defer { freeaddrinfo(list) }
    var endpoints: [Endpoint] = []
    var next = list
    while let item = next {
      if let name = item.pointee.ai_addr, var endpoint = Endpoint(name) {
        endpoint.port = port
        if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
      }
      next = item.pointee.ai_next
    }
    guard !endpoints.isEmpty else { throw Failure(host: host, reason: "no address") }
    return endpoints
  }
}
