package import Content
import Digests
package import Posix
import Synchronization

/// The origin's files: every regular file under a root, with its digests.
///
/// A scanner finds new, changed and removed files; hashers read them, once for each state a file
/// has been in; the digests outlast restarts. Requests ask from any thread. The file a request has
/// open decides: digests are given for exactly the state of that file or not at all.
package final class Catalogue: Sendable {
  /// Entries kept in memory at least.
  static let cachedEntryCount = 65_536
  /// Names tried for a package before it counts as gone.
  static let pathCountMax = 16

  package let root: DirectoryRoot
  let publisher: String
  let rescanInterval: Duration
  let index: DigestIndexFile
  let cache = EntryCache(capacity: cachedEntryCount)
  let queue = Mutex(HashQueue())
  let tally = Mutex(Tally())
  let unrecorded = Mutex<[DigestRecord]>([])
  let scanner = Attendant()
  let hashers: [Attendant]
  let stateStatus: FileStatus
  let onProgress: @Sendable (CatalogueProgress) -> Void
  let onProblem: @Sendable (CatalogueProblem) -> Void

  struct Tally {
    var progress = CatalogueProgress()
    /// Reasons already told, by path.
    var problems: [String: String] = [:]
    var bytesPerSecond: Double = 400e6
  }

  /// - Parameters:
  ///   - state: a directory for the index, made when missing. Several roots may share it.
  ///   - publisher: what manifests say about who published.
  ///   - hasherCount: threads that hash; each takes one core while there is work.
  ///   - rescanInterval: rest between two walks over the root.
  ///   - onProgress: told after each scan, and after each batch of digests that was recorded.
  ///   - onProblem: told once of each file that cannot be served, and why.
  ///
  /// Both closures run on the catalogue's threads and return soon.
  package init(
    root: DirectoryRoot, state: String, publisher: String, hasherCount: Int = 1,
    rescanInterval: Duration = .seconds(30),
    onProgress: @escaping @Sendable (CatalogueProgress) -> Void = { _ in },
    onProblem: @escaping @Sendable (CatalogueProblem) -> Void = { _ in }
  ) throws(StorageError) {
    precondition(hasherCount > 0, "somebody hashes")
    self.root = root
    self.publisher = publisher
    self.rescanInterval = rescanInterval
    self.onProgress = onProgress
    self.onProblem = onProblem
    hashers = (0..<hasherCount).map { _ in Attendant() }
    stateStatus = try onPath(state) { () throws(SystemError) in
      try FileSystem.makeDirectory(state, mode: 0o700)
      return try FileSystem.status(of: state)
    }
    let canonical = try onPath(root.path) { () throws(SystemError) in
      try FileSystem.canonicalPath(root.path)
    }
    let name = Array(canonical.utf8).withUnsafeBytes { TreeHash.leaves(of: $0) }
    index = try DigestIndexFile(path: "\(state)/catalogue-\(name[0].hex.prefix(16)).sqlite")
  }

  /// Starts the threads; the root is walked at once, in the background.
  package func start() throws(StorageError) {
    try onPath(root.path) { () throws(SystemError) in
      for (number, hasher) in hashers.enumerated() {
        try hasher.start(name: "spate-hash-\(number)") { [weak self, unowned hasher] in
          self?.hashWaiting(asked: hasher)
          return nil
        }
      }
      try scanner.start(name: "spate-scan") { [weak self] in
        guard let self else { return nil }
        scan()
        return rescanInterval
      }
    }
    scanner.wake()
  }

  /// Walks the root soon, whenever the next walk was due.
  package func rescan() { scanner.wake() }

  /// Ends the threads; a file being hashed is left for the next start. Idempotent.
  package func stop() {
    for hasher in hashers { hasher.dismiss() }
    scanner.stop()
    for hasher in hashers { hasher.stop() }
    recordDigests()
  }

  deinit {
    scanner.dismiss()
    for hasher in hashers { hasher.dismiss() }
  }

  package var progress: CatalogueProgress {
    var progress = tally.withLock { $0.progress }
    queue.withLock { queue in
      progress.waitingCount = queue.waitingCount
      progress.waitingByteCount = queue.waitingByteCount
      progress.isHashing = !queue.isIdle
    }
    return progress
  }
}

/// Asking.
extension Catalogue {
  /// The digests of the file `path` in the state `status`; nil when they are not known yet: the
  /// file is queued then.
  ///
  /// A name asked for lately takes a dictionary's time, another one a look into the index (tens of
  /// microseconds).
  /// - Parameter path: relative to the root, decoded, with single slashes.
  package func entry(path: String, status: FileStatus) -> CatalogueEntry? {
    guard status.kind == .regular else { return nil }
    if let entry = known(path, status) { return entry }
    enqueue(HashQueue.Job(path: path, byteCount: status.byteCount))
    return nil
  }

  /// Somebody waits for this file: it is hashed ahead of those nobody waits for, and ahead of the
  /// rest of a longer one. It has been queued by `entry` or `state`; else this does nothing.
  package func prioritise(_ path: String) {
    queue.withLock { $0.prioritise(path) }
    for hasher in hashers { hasher.wake() }
  }

  package enum State: Sendable {
    case ready(CatalogueEntry)
    /// How many files are hashed first, 0 for a file under way; and when it should be ready.
    case queued(position: Int, estimate: Duration)
    /// No such file, or it cannot be read.
    case unknown
  }

  /// Opens the file to see: for a worker, or for a request that has no file open.
  package func state(of path: String) -> State {
    do {
      let status = try root.open(path).status()
      guard status.kind == .regular else { return .unknown }
      if let entry = entry(path: path, status: status) { return .ready(entry) }
    } catch {
      return .unknown
    }
    let rate = tally.withLock { $0.bytesPerSecond }
    guard let place = queue.withLock({ $0.place(of: path) }) else {
      return .queued(position: 0, estimate: .zero)
    }
    return .queued(
      position: place.position, estimate: .seconds(Double(place.byteCount) / rate))
  }

  package struct Found: Sendable {
    package let path: String
    package let entry: CatalogueEntry
    /// The file that has the package's bytes: the one that was checked.
    package let file: OpenFile
  }

  /// A file that has these bytes now, whatever its name.
  package func package(_ id: PackageID) -> Found? {
    if let path = cache.path(of: id), let found = found(id, at: path) { return found }
    let paths: [String]
    do {
      paths =
        try index.read { index throws(StorageError) in
          try index.paths(of: id, countMax: Self.pathCountMax)
        } ?? []
    } catch {
      report(.index(error))
      return nil
    }
    for path in paths {
      if let found = found(id, at: path) { return found }
    }
    return nil
  }

  private func found(_ id: PackageID, at path: String) -> Found? {
    do {
      let file = try root.open(path)
      guard let entry = entry(path: path, status: try file.status()), entry.id == id else {
        return nil
      }
      return Found(path: path, entry: entry, file: file)
    } catch {
      // Gone or unreadable since: another name may do.
      return nil
    }
  }

  /// The leaves under one piece, hashed from the file again: nodes below the piece layer are not
  /// kept.
  package func leaves(
    of piece: PieceIndex, in entry: CatalogueEntry, file: OpenFile
  ) throws(StorageError) -> [SHA256Digest] {
    try onPath(entry.manifest.path) { () throws(SystemError) in
      try PieceReader.leaves(of: piece, geometry: entry.manifest.geometry, in: file)
    }
  }

  /// From memory, else from the index.
  func known(_ path: String, _ status: FileStatus) -> CatalogueEntry? {
    if let entry = cache[path], entry.describes(status) { return entry }
    do {
      let record = try index.read { index throws(StorageError) in
        try index.record(of: path, key: FileKey(status))
      }
      guard let entry = record?.entry(status: status, publisher: publisher) else { return nil }
      cache.insert(entry, at: path)
      return entry
    } catch {
      report(.index(error))
      return nil
    }
  }

  func enqueue(_ job: HashQueue.Job) {
    if queue.withLock({ $0.add(job) }) { hashers.forEach { $0.wake() } }
  }

  func report(_ problem: CatalogueProblem) {
    let isNew = tally.withLock { tally in
      tally.problems.updateValue(problem.reason, forKey: problem.path) != problem.reason
    }
    if isNew { onProblem(problem) }
  }

  func clearProblem(_ path: String) { tally.withLock { $0.problems[path] = nil } }
}

/// How far the catalogue is.
package struct CatalogueProgress: Sendable, Hashable {
  /// Regular files seen by the last whole scan.
  package var fileCount = 0
  package var scanCount = 0
  /// Files and bytes read and hashed by this process.
  package var hashedCount = 0
  package var hashedByteCount = 0
  package var waitingCount = 0
  package var waitingByteCount = 0
  /// Something is waiting or under way.
  package var isHashing = false
}

/// A file that is not served, or an index that does not work.
package struct CatalogueProblem: Sendable, Hashable {
  /// Relative to the root; empty for the index.
  package let path: String
  package let reason: String

  static func index(_ error: StorageError) -> Self { Self(path: "", reason: error.description) }
}
