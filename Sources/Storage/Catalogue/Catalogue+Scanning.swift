import Content
import Posix
import Synchronization

/// The scanner's work.
extension Catalogue {
  /// What one walk over the root found.
  private struct Walk {
    /// Names that are there, also of files that cannot be opened.
    var seen: Set<String> = []
    var fileCount = 0
    /// Directories that could not be read: what is below them is unknown, not gone.
    var closed: [String] = []
    var isWhole = true
  }

  /// One turn: walks the root, queues what is new or changed, forgets what is gone.
  func scan() {
    var walk = Walk()
    var directories = [""]
    while let directory = directories.popLast() {
      guard !scanner.isStopping else { return }
      directories += visit(directory, &walk)
    }
    if walk.isWhole { forgetRemoved(walk) }
    tally.withLock { tally in
      tally.progress.fileCount = walk.fileCount
      tally.progress.scanCount += 1
    }
    onProgress(progress)
  }

  /// - Returns: the directories below.
  private func visit(_ directory: String, _ walk: inout Walk) -> [String] {
    let entries: [DirectoryEntry]
    do {
      guard try !isState(directory) else { return [] }
      entries = try root.list(directory)
    } catch {
      walk.closed.append(directory)
      if directory.isEmpty { walk.isWhole = false }
      report(
        CatalogueProblem(
          path: directory.isEmpty ? "." : directory, reason: error.description))
      return []
    }
    clearProblem(directory.isEmpty ? "." : directory)
    var below: [String] = []
    for entry in entries.sorted(by: { $0.name < $1.name }) {
      let path = directory.isEmpty ? entry.name : "\(directory)/\(entry.name)"
      switch entry.kind {
      case .directory: below.append(path)
      // A link to a file inside the root is one more name of it; one to a directory is not walked.
      case .regular, .symbolicLink: visitFile(path, isLink: entry.kind == .symbolicLink, &walk)
      case .other: break
      }
    }
    return below.reversed()
  }

  private func visitFile(_ path: String, isLink: Bool, _ walk: inout Walk) {
    do {
      let status = try root.open(path).status()
      guard status.kind == .regular else { return }
      walk.seen.insert(path)
      walk.fileCount += 1
      let key = FileKey(status)
      if let entry = cache[path], entry.describes(status) { return }
      let known = try index.read { index throws(StorageError) in try index.key(of: path) }
      guard known != key else { return }
      enqueue(HashQueue.Job(path: path, byteCount: status.byteCount))
    } catch let error as SystemError {
      // Gone between the listing and now is nothing to tell; a link that leads nowhere is.
      if error.isNotFound, !isLink { return }
      if !error.isNotFound { walk.seen.insert(path) }
      report(CatalogueProblem(path: path, reason: error.description))
    } catch let error as StorageError {
      report(.index(error))
    } catch {
      preconditionFailure("only these two are thrown: \(error)")
    }
  }

  /// The index's own directory may lie inside the root; it is nobody's package.
  private func isState(_ directory: String) throws(SystemError) -> Bool {
    guard !directory.isEmpty else { return false }
    let status = try root.open(directory).status()
    return status.inode == stateStatus.inode && status.device == stateStatus.device
  }

  /// Removes from the index what the walk did not meet and what, looked at again, is not there.
  private func forgetRemoved(_ walk: Walk) {
    do {
      let indexed = try index.read { index throws(StorageError) in try index.allPaths() } ?? []
      let gone = indexed.filter { path in
        !walk.seen.contains(path) && !scanner.isStopping
          && !walk.closed.contains { path.hasPrefix($0 + "/") } && !isThere(path)
      }
      guard !gone.isEmpty, !scanner.isStopping else { return }
      for path in gone {
        cache.remove(path)
        clearProblem(path)
        queue.withLock { $0.remove(path) }
      }
      try index.write { index throws(StorageError) in try index.remove(gone) }
    } catch {
      report(.index(error))
    }
  }

  private func isThere(_ path: String) -> Bool {
    do {
      return try root.open(path).status().kind == .regular
    } catch {
      return !error.isNotFound
    }
  }
}
