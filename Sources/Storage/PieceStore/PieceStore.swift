package import Content
import Posix
import Synchronization

/// A peer's cache: a directory with one sparse data file for each package and an index of the
/// pieces in them that were verified.
///
/// It may lose pieces; it never serves a wrong one. A piece counts when the index has it; the index
/// has it only after its bytes were hashed and written, and forgets it on disk before its bytes go.
///
/// Locks are taken in this order: `evicting`, `opening`, `index`, a package's state. The last is
/// never held while a disk is asked.
package final class PieceStore: Sendable {
  /// Pieces the store had to give up; whoever announced them takes that back.
  package struct Loss: Sendable, Hashable {
    package enum Cause: Sendable, Hashable {
      case evicted
      /// The disk refused to keep them.
      case notSynchronized
      /// The index no longer takes anything; the pieces are on disk but not served.
      case notIndexed
    }

    package let id: PackageID
    package let runs: [PieceRun]
    package let cause: Cause
    /// The package is out of the cache altogether; its `StoredPackage` is of no use any more.
    package let isWhole: Bool
  }

  /// A package that a past or the present process put into the cache.
  package struct Summary: Sendable {
    package let id: PackageID
    package let geometry: Geometry
    /// What the caller gave to `open`.
    package let metadata: [UInt8]
    package let verifiedCount: Int
  }

  /// Verified bytes not yet known to be on the disk that make the flusher go at once.
  package static let unsynchronizedByteCountMax = 64 << 20
  /// How long they may wait otherwise.
  package static let unsynchronizedTimeMax = Duration.seconds(5)
  /// Pieces that come within this time of each other share a transaction of the index.
  static let gatheringTime = Duration.milliseconds(50)

  package let directory: String
  /// Bytes of package data, nil for as many as the disk has.
  package let limit: Int?
  /// Set when the index was damaged: where its file was put.
  package let damagedIndexPath: String?

  /// Nil once closed.
  let index: Mutex<StoreIndex?>
  let onLoss: @Sendable (Loss) -> Void
  let evicting = Mutex(())
  /// Held while a data file is looked over or removed, so that one id is one file.
  let opening = Mutex(())
  let usedCount = Atomic<Int>(0)
  let unsynchronizedByteCount = Atomic<Int>(0)
  let indexThread = Attendant()
  let flushThread = Attendant()
  let pending = Mutex(Pending())
  private let lock: Mutex<OpenFile?>
  private let opened = Mutex<[PackageID: StoredPackage]>([:])
  private let ticks: Atomic<UInt64>

  /// Makes the directory when it is missing and takes its lock.
  ///
  /// - Parameters:
  ///   - bootID: tells one boot of the machine from another; the kernel's own when nil.
  ///   - onLoss: told of pieces given up, on whatever thread found out; it returns soon.
  package init(
    directory: String, limit: Int? = nil, bootID: String? = nil,
    onLoss: @escaping @Sendable (Loss) -> Void = { _ in }
  ) throws(StorageError) {
    self.directory = directory
    self.limit = limit
    self.onLoss = onLoss
    let packages = "\(directory)/packages"
    try onPath(packages) { () throws(SystemError) in
      try FileSystem.makeDirectory(directory, mode: 0o700)
      try FileSystem.changePermissions(of: directory, to: 0o700)
      try FileSystem.makeDirectory(packages, mode: 0o700)
    }
    lock = Mutex(try Self.lock(directory))
    let boot =
      if let bootID { bootID } else {
        try onPath(directory) { () throws(SystemError) in try Machine.bootID() }
      }
    let (index, damaged) = try Self.openIndex("\(directory)/index.sqlite", bootID: boot)
    damagedIndexPath = damaged
    let rows = index.rows
    self.index = Mutex(index)
    ticks = Atomic(rows.values.map(\.lastUse).max() ?? 0)
    let used = rows.values.reduce(0) { sum, row in
      sum
        + PieceLedger(geometry: row.geometry, verified: row.verified, durable: row.durable)
        .occupiedByteCount
    }
    usedCount.store(used, ordering: .relaxed)
    // Without its row a data file says nothing, except when the rows were lost: then `open` may
    // still find its pieces there.
    if damaged == nil { try removeOrphans(keeping: Set(rows.keys)) }
    try startThreads()
  }

  deinit {
    indexThread.dismiss()
    flushThread.dismiss()
  }

  private static func lock(_ directory: String) throws(StorageError) -> OpenFile {
    let path = "\(directory)/lock"
    let file = try onPath(path) { () throws(SystemError) in
      try OpenFile(path: path, .createOrOpen)
    }
    guard try onPath(path, { () throws(SystemError) in try file.lockExclusively() }) else {
      throw .inUse(path: directory)
    }
    return file
  }

  private static func openIndex(
    _ path: String, bootID: String
  ) throws(StorageError) -> (StoreIndex, damaged: String?) {
    do {
      return (try StoreIndex(path: path, bootID: bootID), nil)
    } catch .damagedDatabase {
      let aside = try setAside(path)
      return (try StoreIndex(path: path, bootID: bootID), aside)
    }
  }

  private func removeOrphans(keeping ids: Set<PackageID>) throws(StorageError) {
    let packages = "\(directory)/packages"
    let entries = try onPath(packages) { () throws(SystemError) in
      try FileSystem.list(packages)
    }
    for entry in entries {
      guard let id = PackageID(hex: entry.name), !ids.contains(id) else { continue }
      let path = "\(packages)/\(entry.name)"
      try onPath(path) { () throws(SystemError) in try FileSystem.remove(path) }
    }
  }

  func nextTick() -> UInt64 { ticks.add(1, ordering: .relaxed).newValue }

  func dataPath(of id: PackageID) -> String { "\(directory)/packages/\(id.hex)" }

  var openPackages: [StoredPackage] { opened.withLock { Array($0.values) } }

  func openPackage(_ id: PackageID) -> StoredPackage? { opened.withLock { $0[id] } }

  /// The index, for one use. Nothing else is locked or waited for inside, but ledgers.
  func withIndex<Value: Sendable>(
    _ body: (StoreIndex) throws(StorageError) -> Value
  ) throws(StorageError) -> Value {
    try index.withLock { index throws(StorageError) -> Value in
      guard let index else { throw .closed(path: directory) }
      return try body(index)
    }
  }

  /// Ends the connection: its log is folded into the database and removed.
  func closeIndex() { index.withLock { $0 = nil } }

  func releaseLock() {
    lock.withLock { file in
      file?.unlock()
      file = nil
    }
  }

  func remember(_ package: StoredPackage) { opened.withLock { $0[package.id] = package } }

  func forget(_ id: PackageID) { opened.withLock { $0[id] = nil } }

  /// What a store holds on disk, partial pieces included.
  package var usedByteCount: Int { usedCount.load(ordering: .relaxed) }

  /// What is in the index, in the order of ids.
  package func packages() -> [Summary] {
    index.withLock { index in
      (index?.rows ?? [:]).values.sorted { $0.id < $1.id }.map { row in
        Summary(
          id: row.id, geometry: row.geometry, metadata: row.metadata,
          verifiedCount: row.verified.count)
      }
    }
  }
}

/// Renames a damaged database out of the way, with its log; an older one there is replaced.
/// - Returns: where it is now.
func setAside(_ path: String) throws(StorageError) -> String {
  let aside = "\(path).damaged"
  try onPath(path) { () throws(SystemError) in
    try FileSystem.rename(path, to: aside)
    for suffix in ["-wal", "-shm"] { try FileSystem.remove(path + suffix) }
  }
  return aside
}
