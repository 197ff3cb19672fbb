package import Content
import Swarm
package import Wire

/// What the owner of a peer node decides.
package struct PeerConfiguration: Sendable {
  package static let cacheByteCountMaxDefault = 10 << 30

  package var origin: HTTPURL
  package var cache: String
  package var cacheByteCountMax = Self.cacheByteCountMaxDefault
  package var listen: [Endpoint]
  /// Where local programs ask for files by the origin's names; nil for no gateway.
  package var gateway: Endpoint?
  /// The operator's label for machines that are near each other.
  package var site = ""
  /// Never more uploads than these; nil for as many as `UploadGate` finds room for.
  package var uploadCountMax: Int?
  /// Bytes a second to other peers, together; nil for no limit.
  package var uploadByteRate: Int?
  /// Bytes a second that a download is content with: it looks for no more sources then.
  package var targetByteRate: Int?
  /// A PEM file of authorities to trust instead of the system's.
  package var authorities: String?
  /// Serves other peers by TLS and takes from no others.
  package var speaksTLSAmongPeers = false

  package init(origin: HTTPURL, cache: String, listen: [Endpoint]) {
    self.origin = origin
    self.cache = cache
    self.listen = listen
  }
}

/// One `spate get`.
package struct GetConfiguration: Sendable {
  package var url: HTTPURL
  /// The file to write; nil for the last component of the URL's path, in the current directory.
  package var output: String?
  /// A cache directory to keep the pieces in; nil for one beside the output that goes when it is
  /// whole.
  package var cache: String?
  package var listen: [Endpoint]
  package var seedFor = Duration.zero
  /// The operator's label for machines that are near each other.
  package var site = ""
  /// Bytes a second that are fast enough: it looks for no more sources then.
  package var targetByteRate: Int?
  package var authorities: String?
  package var printsJSON = false
  /// Serves other peers by TLS and takes from no others.
  package var speaksTLSAmongPeers = false

  package init(url: HTTPURL, listen: [Endpoint]) {
    self.url = url
    self.listen = listen
  }
}
