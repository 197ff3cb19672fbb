import Content
import Posix
import Synchronization

/// The end of a store.
extension PieceStore {
  /// Records what was submitted, brings all to the disk, notes how the files are left, so that the
  /// next start trusts them as they are, and lets the directory go. Idempotent; not from a
  /// callback.
  package func close() throws(StorageError) {
    guard index.withLock({ $0 != nil }) else { return }
    indexThread.stop()
    flushThread.stop()
    pending.withLock { $0.isClosed = true }
    recordSubmissions()
    flush()
    defer {
      closeIndex()
      releaseLock()
    }
    for package in openPackages {
      let (isCached, lastUse) = package.state.withLock { state in
        if case .cache = state.place { return (true, state.lastUse) }
        return (false, state.lastUse)
      }
      guard isCached else { continue }
      try package.dropUnverified()
      let seal = try package.currentSeal()
      try withIndex { index throws(StorageError) in
        try index.seal(package.id, seal, lastUse: lastUse)
      }
    }
  }

  /// Closes, and removes the directory with everything the store has put there. A published file is
  /// not in it.
  package func destroy() throws(StorageError) {
    indexThread.stop()
    flushThread.stop()
    for package in openPackages {
      package.state.withLock { state in
        if case .cache = state.place { state.place = .discarded }
      }
    }
    pending.withLock { $0.isClosed = true }
    recordSubmissions()
    do throws(StorageError) {
      try withIndex { index throws(StorageError) in try index.forgoDurability() }
    } catch {
      // A closed or broken index is removed just the same.
    }
    closeIndex()
    releaseLock()
    try onPath(directory) { () throws(SystemError) in
      let packages = "\(directory)/packages"
      for entry in try FileSystem.list(packages) {
        try FileSystem.remove("\(packages)/\(entry.name)")
      }
      try FileSystem.removeEmptyDirectory(packages)
      for entry in try FileSystem.list(directory)
      where entry.name == "lock" || entry.name.hasPrefix("index.sqlite") {
        try FileSystem.remove("\(directory)/\(entry.name)")
      }
      try FileSystem.removeEmptyDirectory(directory)
    }
  }
}
