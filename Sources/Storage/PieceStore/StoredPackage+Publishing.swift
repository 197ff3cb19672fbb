import Content
import Posix
import Synchronization

/// From the cache to a file of the user's.
extension StoredPackage {
  /// Makes the data file the file `path`, replacing one of that name, when all of it is verified
  /// and on the disk. The package goes on being served from it, and is in the cache no more.
  ///
  /// - Parameter permissions: of the file.
  package func publish(
    as path: String, permissions: UInt32 = 0o644
  ) throws(StorageError) {
    let store = try live()
    beginUse()
    defer { endUse() }
    guard isWhole else { throw .unfinished(id) }
    guard case .cache(let source) = state.withLock({ $0.place }) else { throw .discarded(id) }
    let file = state.withLock { $0.file }
    try synchronize(file, in: store)
    var target = file
    do {
      try FileSystem.changePermissions(of: source, to: permissions)
      try FileSystem.rename(source, to: path)
    } catch  where error.isOutsideRoot {
      // Another file system (EXDEV): the bytes have to move.
      target = try copy(to: path, permissions: permissions)
    } catch {
      throw StorageError(error, path: path)
    }
    let status = try onPath(path) { () throws(SystemError) in try target.status() }
    let byteCount = state.withLock { state in
      state.file = target
      state.place = .published(FileSeal(status))
      return state.ledger.occupiedByteCount
    }
    store.usedCount.subtract(byteCount, ordering: .relaxed)
    try store.withIndex { index throws(StorageError) in try index.remove(id) }
    try onPath(path) { () throws(SystemError) in
      try FileSystem.synchronizeDirectory(parent(of: path))
      try FileSystem.remove(source)
    }
  }

  /// Writes a copy to `path`, replacing one of that name; the package stays in the cache.
  package func export(to path: String, permissions: UInt32 = 0o644) throws(StorageError) {
    _ = try live()
    let run =
      geometry.pieceCount > 0 ? PieceRun(first: PieceIndex(0), count: geometry.pieceCount) : nil
    if let run {
      guard pin(run) else { throw .unfinished(id) }
    }
    defer { if let run { unpin(run) } }
    _ = try copy(to: path, permissions: permissions)
  }

  /// A failure means the disk does not have the bytes and may never: the pieces are dropped.
  private func synchronize(_ file: OpenFile, in store: PieceStore) throws(StorageError) {
    store.flush(self)
    guard isWhole else { throw .unfinished(id) }
  }

  /// Copies to a temporary name beside `path`, then renames: the name never stands for half a file.
  private func copy(to path: String, permissions: UInt32) throws(StorageError) -> OpenFile {
    var generator = SystemRandomNumberGenerator()
    let temporary = "\(path).\(String(generator.next(), radix: 36)).part"
    let source = state.withLock { $0.file }
    do {
      let target = try OpenFile(path: temporary, .createNew)
      try FileSystem.copy(
        from: source, at: 0, to: target, at: 0, byteCount: geometry.byteCount)
      try target.synchronize()
      try FileSystem.changePermissions(of: temporary, to: permissions)
      try FileSystem.rename(temporary, to: path)
      try FileSystem.synchronizeDirectory(parent(of: path))
      return target
    } catch {
      do { try FileSystem.remove(temporary) } catch {
        // The first failure says more; what is left has a name that tells where it came from.
      }
      throw StorageError(error, path: path)
    }
  }

  private func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
