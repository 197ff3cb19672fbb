package import Content
package import Posix

/// What can go wrong on disk, each with the path it happened at and, where there is something to do
/// about it, what.
package enum StorageError: Error, Sendable, Hashable {
  /// No room left on the device: nothing verified was lost.
  case diskFull(path: String)
  /// Another process has the directory.
  case inUse(path: String)
  /// A database of another program, or of a later version of this one: left untouched.
  case foreignDatabase(path: String, reason: String)
  /// The database's bytes make no sense. Opening sets such a file aside and starts a new one, so
  /// this is only seen when the damage shows later.
  case damagedDatabase(path: String)
  case database(path: String, reason: String)
  case file(path: String, SystemError)
  /// The piece layer or the size given does not belong to the package.
  case mismatched(PackageID)
  /// The cache limit is reached and everything in the cache is in use.
  case limitReached(path: String, limit: Int)
  /// Not all bytes of the run arrived (or some were discarded since): fetch it again.
  case incomplete(PieceRun)
  /// Two writers met in the run and what is on disk does not match the tree: fetch it again.
  case contradicted(PieceRun)
  /// The package was evicted or discarded: open it anew.
  case discarded(PackageID)
  /// The store was closed.
  case closed(path: String)
  /// Only a whole package can be published or exported.
  case unfinished(PackageID)
}

extension StorageError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .diskFull(let path): "\(path): the disk is full; free some space and try again"
    case .inUse(let path):
      "\(path): another process uses this directory; stop it or name another directory"
    case .foreignDatabase(let path, let reason):
      "\(path): \(reason); move it away or name another directory"
    case .damagedDatabase(let path):
      "\(path): the index is damaged; restart, and it is set aside and rebuilt"
    case .database(let path, let reason): "\(path): \(reason)"
    case .file(let path, let error): "\(path): \(error)"
    case .mismatched(let id): "package \(id): the piece layer does not belong to it"
    case .limitReached(let path, let limit):
      "\(path): the limit of \(limit) bytes is reached and all of it is in use; raise the limit"
    case .incomplete(let run): "pieces \(run.indices): some of their bytes are missing"
    case .contradicted(let run): "pieces \(run.indices): their bytes do not match the tree"
    case .discarded(let id): "package \(id) was discarded"
    case .closed(let path): "\(path): the cache is closed"
    case .unfinished(let id): "package \(id) is not whole yet"
    }
  }

  /// A failed call on `path`: a full disk gets its own case because people can act on it.
  init(_ error: SystemError, path: String) {
    self = error.isOutOfSpace ? .diskFull(path: path) : .file(path: path, error)
  }
}

/// Runs `body`, naming `path` in what it throws.
func onPath<Value>(
  _ path: @autoclosure () -> String, _ body: () throws(SystemError) -> Value
) throws(StorageError) -> Value {
  do { return try body() } catch { throw StorageError(error, path: path()) }
}
