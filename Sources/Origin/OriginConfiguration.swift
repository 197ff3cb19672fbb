package import Content

/// What the operator of an origin decides.
package struct OriginConfiguration: Sendable {
  package static let defaultPort: UInt16 = 8_080

  /// The directory whose regular files are served.
  package var root: String
  package var listen: [Endpoint]
  package var tlsListen: [Endpoint] = []
  /// PEM files; needed when `tlsListen` is not empty.
  package var tlsCertificates: [TLSIdentity] = []
  /// Where the digest catalogue lives.
  package var state: String
  package var loopCount: Int
  /// Answer a directory's name with a list of its files.
  package var listsDirectories = false
  /// Copies of a package the origin may send to the swarm while all of it is out; nil for no limit.
  package var copiesMax: Double?
  /// Bytes of content a second, of all loops together; nil for no limit.
  package var byteRateMax: Int?
  /// Responses to clients that are not of the swarm, at a time; nil for no limit.
  package var plainCountMax: Int?
  /// Send those there is no room for to peers.
  package var redirectsPlain = false
  /// Who the manifests say published the files.
  package var publisher: String
  /// What `/-/status` calls this program.
  package var version = ""

  package struct TLSIdentity: Sendable {
    package var certificateFile: String
    package var keyFile: String

    package init(certificateFile: String, keyFile: String) {
      self.certificateFile = certificateFile
      self.keyFile = keyFile
    }
  }

  package init(
    root: String, listen: [Endpoint], state: String, loopCount: Int, publisher: String
  ) {
    self.root = root
    self.listen = listen
    self.state = state
    self.loopCount = loopCount
    self.publisher = publisher
  }
}
