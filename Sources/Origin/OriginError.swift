package import Content
import Posix
import Storage

/// Why an origin cannot start, in one line for the person who started it.
package enum OriginError: Error, Sendable, CustomStringConvertible {
  case root(path: String, reason: String)
  case state(path: String, reason: String)
  case certificate(reason: String)
  case portTaken(Endpoint)
  case listen(Endpoint, reason: String)
  case system(String)

  package var description: String {
    switch self {
    case .root(let path, let reason): "cannot serve \(path): \(reason)"
    case .state(let path, let reason):
      "cannot keep digests in \(path): \(reason); choose another directory with --state"
    case .certificate(let reason): "cannot use the certificate: \(reason)"
    case .portTaken(let endpoint):
      "\(endpoint) is taken by another program; choose another with --listen"
    case .listen(let endpoint, let reason):
      "cannot listen on \(endpoint): \(reason)"
    case .system(let reason): reason
    }
  }

  init(_ error: SystemError, listeningOn endpoint: Endpoint) {
    self =
      error.isAddressInUse
      ? .portTaken(endpoint) : .listen(endpoint, reason: Self.reason(error))
  }

  init(_ error: StorageError, state path: String) {
    switch error {
    case .file(_, let error): self = .state(path: path, reason: Self.reason(error))
    case .diskFull, .inUse, .foreignDatabase, .damagedDatabase, .database, .mismatched,
      .limitReached, .incomplete, .contradicted, .discarded, .closed, .unfinished:
      self = .state(path: path, reason: error.description)
    }
  }

  /// Without the name of the call, which says nothing to an operator.
  static func reason(_ error: SystemError) -> String {
    let text = error.description
    guard let colon = text.firstIndex(of: ":") else { return text }
    return String(text[text.index(after: colon)...].drop { $0 == " " })
  }
}
