package import Content
package import Posix
import Synchronization

/// One package in the cache: a sparse data file and the ledger of what is in it. Any thread may
/// call anything; nothing waits for a disk while it holds the ledger.
package final class StoredPackage: Sendable {
  package let id: PackageID
  package let geometry: Geometry
  package let pieceLayer: [SHA256Digest]
  package let metadata: [UInt8]

  weak let store: PieceStore?
  let state: Mutex<State>
  /// Where commits wait for the last writer of a contested piece.
  private let writers = Monitor()
  let turns = Mutex(WriteTurns())

  struct State {
    var ledger: PieceLedger
    var file: OpenFile
    var place: Place
    var userCount = 0
    var lastUse: UInt64

    /// It may lose single pieces, but not its file.
    var isInUse: Bool { userCount > 0 || ledger.isBusy }
  }

  enum Place: Hashable {
    /// A file of the cache.
    case cache(path: String)
    /// Somebody's file now, under its final name; the cache does not change it any more.
    case published(FileSeal)
    case discarded
  }

  init(
    row: StoreIndex.Row, file: OpenFile, path: String, in store: PieceStore, verified: PieceSet,
    durable: PieceSet
  ) {
    id = row.id
    geometry = row.geometry
    pieceLayer = row.pieceLayer
    metadata = row.metadata
    self.store = store
    state = Mutex(
      State(
        ledger: PieceLedger(geometry: row.geometry, verified: verified, durable: durable),
        file: file, place: .cache(path: path), lastUse: row.lastUse))
  }

  /// The pieces that may be announced and served: in the index, and their bytes checked.
  package var verified: PieceSet { state.withLock { $0.ledger.verified } }
  package var isWhole: Bool { state.withLock { $0.ledger.verified.isFull } }
  /// Pieces that are neither in the index nor being recorded.
  var unrecordedCount: Int { state.withLock { $0.ledger.unrecordedCount } }
  package var isDiscarded: Bool { state.withLock { $0.place == .discarded } }
  /// Bytes on disk, verified or not.
  package var occupiedByteCount: Int { state.withLock { $0.ledger.occupiedByteCount } }

  /// The package is wanted as a whole until the matching `endUse`: it loses single pieces at most.
  package func beginUse() { state.withLock { $0.userCount += 1 } }
  package func endUse() {
    state.withLock {
      precondition($0.userCount > 0, "a use ends once")
      $0.userCount -= 1
    }
  }

  /// Where the data file is, for messages.
  var path: String {
    state.withLock {
      switch $0.place {
      case .cache(let path): path
      case .published: "the published file of \(id)"
      case .discarded: "the discarded file of \(id)"
      }
    }
  }

  func live() throws(StorageError) -> PieceStore {
    guard let store, !isDiscarded else { throw .discarded(id) }
    return store
  }
}

/// Reading.
extension StoredPackage {
  /// The bytes of `range` when all of them are verified. They may be evicted any time after, unless
  /// the pieces are pinned: prefer `pinnedSlice`.
  package func slice(_ range: ByteRange) -> FileSlice? {
    guard range.end <= geometry.byteCount else { return nil }
    let run = geometry.run(covering: range)
    return state.withLock { state in
      guard state.place != .discarded, state.ledger.verified.contains(run) else { return nil }
      return FileSlice(file: state.file, range: range)
    }
  }

  /// The same, protected from eviction for as long as the result is kept: keep it until the last
  /// byte was handed to the kernel.
  package func pinnedSlice(_ range: ByteRange) -> PinnedSlice? {
    guard range.end <= geometry.byteCount else { return nil }
    let run = geometry.run(covering: range)
    guard pin(run) else { return nil }
    return PinnedSlice(
      slice: FileSlice(file: state.withLock { $0.file }, range: range), run: run, of: self)
  }

  /// False when not all of `run` is verified; else it is not evicted before the matching `unpin`.
  package func pin(_ run: PieceRun) -> Bool {
    let tick = store?.nextTick() ?? 0
    return state.withLock { state in
      guard state.place != .discarded, state.ledger.pin(run, tick: tick) else { return false }
      state.lastUse = tick
      return true
    }
  }

  package func unpin(_ run: PieceRun) { state.withLock { $0.ledger.unpin(run) } }

  /// False when the file of a published package was changed or replaced by somebody since: then
  /// nothing of it may be served any more.
  package var isIntact: Bool {
    let (place, file) = state.withLock { ($0.place, $0.file) }
    switch place {
    case .cache: return true
    case .discarded: return false
    case .published(let seal):
      do { return try FileSeal(file.status()) == seal } catch { return false }
    }
  }
}

/// Verified bytes that cannot be evicted while this is kept.
package final class PinnedSlice: Sendable {
  package let slice: FileSlice
  private let run: PieceRun
  private let owner: StoredPackage

  init(slice: FileSlice, run: PieceRun, of owner: StoredPackage) {
    self.slice = slice
    self.run = run
    self.owner = owner
  }

  deinit { owner.unpin(run) }
}

/// Writing and committing.
extension StoredPackage {
  /// Writes bytes as they come, unverified. Those of pieces that are verified already are dropped:
  /// nothing overwrites what was checked. Makes room by eviction where the limit asks for it.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError) {
    guard let range = ByteRange(offset: offset, count: bytes.count),
      range.end <= geometry.byteCount
    else { preconditionFailure("a write lies inside the package") }
    let store = try live()
    let tick = store.nextTick()
    let (admission, file, needed) = state.withLock { state in
      state.lastUse = tick
      guard case .cache = state.place else {
        let none = PieceLedger.Admission(begun: PieceSet(pieceCount: geometry.pieceCount))
        return (none, state.file, 0)
      }
      let admission = state.ledger.beginWrite(range, tick: tick)
      return (admission, state.file, state.ledger.byteCount(of: admission.begun))
    }
    do {
      try store.reserve(needed)
    } catch {
      let kept = state.withLock { state in
        state.ledger.byteCount(of: state.ledger.cancelWrite(admission))
      }
      store.usedCount.add(kept, ordering: .relaxed)
      wakeCommits()
      throw error
    }
    do {
      for part in admission.ranges {
        let start = part.offset - offset
        try file.write(
          UnsafeRawBufferPointer(rebasing: bytes[start..<start + part.count]), at: part.offset)
      }
    } catch {
      state.withLock { $0.ledger.failWrite(admission) }
      wakeCommits()
      throw StorageError(error, path: path)
    }
    if state.withLock({ $0.ledger.finishWrite(admission) }) { wakeCommits() }
  }

  /// Records that the bytes of `run`, which were hashed by the caller and written, are right. They
  /// are in the index, and served, when it returns. Blocks for one small transaction.
  ///
  /// Throws `incomplete` or `contradicted` when the run must be fetched again.
  package func commit(_ run: PieceRun) throws(StorageError) {
    let pieces = try seal(run)
    guard !pieces.isEmpty else { return }
    try live().record([PieceStore.Commit(package: self, run: run, pieces: pieces)])[0].get()
  }

  /// The same from the index's own thread, which records what has gathered there in one
  /// transaction. `completion` runs on that thread and returns soon.
  package func commit(
    _ run: PieceRun, completion: @escaping @Sendable (Result<Void, StorageError>) -> Void
  ) {
    guard let store else { return completion(.failure(.discarded(id))) }
    store.submit(self, run, completion)
  }

  /// The pieces of `run` to be recorded, closed to writers, and hashed again where writers met.
  func seal(_ run: PieceRun) throws(StorageError) -> PieceSet {
    precondition(geometry.contains(run), "the run lies inside the package")
    switch state.withLock({ $0.ledger.seal(run) }) {
    case .verified: return PieceSet(pieceCount: geometry.pieceCount)
    case .incomplete: throw .incomplete(run)
    case .sealed(let pieces): return pieces
    case .contested(let pieces, let contested):
      awaitWriters(of: contested)
      let file = state.withLock { $0.file }
      let matching: PieceSet
      do {
        matching = try PieceReader.matching(
          contested, of: pieceLayer, geometry: geometry, in: file)
      } catch {
        state.withLock { $0.ledger.unseal(pieces) }
        throw StorageError(error, path: path)
      }
      guard matching == contested else {
        state.withLock { $0.ledger.unseal(pieces) }
        throw .contradicted(run)
      }
      return pieces
    }
  }

  private func awaitWriters(of pieces: PieceSet) {
    writers.withLock {
      while state.withLock({ $0.ledger.hasWriters(pieces) }) { writers.wait() }
    }
  }

  private func wakeCommits() { writers.withLock { writers.wakeAll() } }
}
