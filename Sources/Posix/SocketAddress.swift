import CLinux
import Content

/// Endpoints as the kernel wants and gives them.
extension Endpoint {
  var domain: Int32 {
    switch address {
    case .v4: AF_INET
    case .v6: AF_INET6
    }
  }

  /// Calls `body` with the endpoint as a `sockaddr`.
  func withSocketAddress<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    switch address {
    case .v4(let word):
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = port.bigEndian
      name.sin_addr.s_addr = word.bigEndian
      return withUnsafeBytes(of: &name) { bytes in
        body(bytes.assumingMemoryBound(to: sockaddr.self).baseAddress!, socklen_t(bytes.count))
      }
    case .v6(let high, let low):
      var name = sockaddr_in6()
      name.sin6_family = sa_family_t(AF_INET6)
      name.sin6_port = port.bigEndian
      withUnsafeMutableBytes(of: &name.sin6_addr) { bytes in
        bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      return withUnsafeBytes(of: &name) { bytes in
        body(bytes.assumingMemoryBound(to: sockaddr.self).baseAddress!, socklen_t(bytes.count))
      }
    }
  }

  /// Nil for families other than the Internet Protocol's.
  init?(_ name: UnsafePointer<sockaddr>) {
    let bytes = UnsafeRawPointer(name)
    switch Int32(name.pointee.sa_family) {
    case AF_INET:
      let name = bytes.loadUnaligned(as: sockaddr_in.self)
      self.init(
        address: .v4(UInt32(bigEndian: name.sin_addr.s_addr)),
        port: UInt16(bigEndian: name.sin_port))
    case AF_INET6:
      let name = bytes.loadUnaligned(as: sockaddr_in6.self)
      let (high, low) = withUnsafeBytes(of: name.sin6_addr) { bytes in
        (
          UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
          UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
      }
      self.init(
        address: IPAddress.v6(high, low).unmapped, port: UInt16(bigEndian: name.sin6_port))
    default:
      return nil
    }
  }

  /// Room for a `sockaddr` of any family, for a call that fills it in.
  static func read(
    _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int
  ) -> (result: Int, endpoint: Endpoint?) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutableBytes(of: &storage) { bytes in
      let name = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress!
      let result = body(name, &length)
      return (result, result >= 0 ? Endpoint(name) : nil)
    }
  }
}
