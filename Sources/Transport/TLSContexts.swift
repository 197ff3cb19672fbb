/// What a TLS context could not be made of.
package struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

/// The server's side: certificates, tickets, and a session for each connection taken.
package final class TLSServer {
  /// One certificate chain and its key, PEM files. The first is the one for names nobody has.
  package struct Identity: Sendable, Hashable {
    package let certificatePath: String
    package let keyPath: String

    package init(certificatePath: String, keyPath: String) {
      self.certificatePath = certificatePath
      self.keyPath = keyPath
    }
  }

  package init(_ identities: [Identity]) throws(TLSError) {
    throw TLSError("not available")
  }

  /// Reads the files again; connections already made keep what they have. On an error everything
  /// stays as it is.
  package func reload() throws(TLSError) {}

  func makeSession() -> TLSSession { TLSSession(isClient: false) }
}

/// The client's side: whom to believe.
package final class TLSClient {
  /// - Parameter authoritiesPath: PEM certificates to trust instead of the system's.
  package init(authoritiesPath: String? = nil) throws(TLSError) {
    throw TLSError("not available")
  }

  func makeSession(serverName: String) -> TLSSession { TLSSession(isClient: true) }
}
