package import Content
import Posix
import Synchronization

/// Room: what the limit allows, and what goes when it is reached.
extension PieceStore {
  /// An eviction frees this part of the limit more than is needed, so that not every write waits
  /// for one.
  static let evictionSlackDivisor = 64

  /// Takes `byteCount` of the limit, evicting what is needed for it. Throws `limitReached` when all
  /// that is left is in use.
  func reserve(_ byteCount: Int) throws(StorageError) {
    guard byteCount > 0 else { return }
    let total = usedCount.add(byteCount, ordering: .relaxed).newValue
    guard let limit, total > limit else { return }
    do {
      try evicting.withLock { _ throws(StorageError) in
        let excess = usedByteCount - limit
        guard excess > 0 else { return }
        try evict(excess + limit / Self.evictionSlackDivisor)
        guard usedByteCount <= limit else {
          throw .limitReached(path: directory, limit: limit)
        }
      }
    } catch {
      usedCount.subtract(byteCount, ordering: .relaxed)
      throw error
    }
  }

  private func evict(_ byteCount: Int) throws(StorageError) {
    let candidates = try evictionCandidates()
    let counts = try withIndex { $0.rows.mapValues(\.geometry.pieceCount) }
    let steps = EvictionOrder.steps(toFree: byteCount, from: candidates) { counts[$0] ?? 0 }
    for step in steps {
      switch step {
      case .whole(let id):
        try discard(id, cause: .evicted)
      case .pieces(let id, let pieces):
        guard let package = openPackage(id) else { continue }
        let runs = try withdraw(pieces, from: package, evenPinned: false)
        guard !runs.isEmpty else { continue }
        onLoss(Loss(id: id, runs: runs, cause: .evicted, isWhole: false))
      }
    }
  }

  private func evictionCandidates() throws(StorageError) -> [EvictionCandidate] {
    let rows = try withIndex { Array($0.rows.values) }
    return rows.compactMap { row in
      guard let package = openPackage(row.id) else {
        let ledger = PieceLedger(
          geometry: row.geometry, verified: row.verified, durable: row.durable)
        return EvictionCandidate(
          id: row.id, isInUse: false, lastUse: row.lastUse,
          byteCount: ledger.occupiedByteCount, pieces: [])
      }
      return package.state.withLock { state in
        guard case .cache = state.place else { return nil }
        let isInUse = state.isInUse
        return EvictionCandidate(
          id: row.id, isInUse: isInUse, lastUse: state.lastUse,
          byteCount: state.ledger.occupiedByteCount,
          pieces: isInUse ? state.ledger.evictable : [])
      }
    }
  }

  /// Takes verified pieces out of service, then out of the index, then off the disk, in that order.
  /// - Returns: what was taken.
  func withdraw(
    _ pieces: PieceSet, from package: StoredPackage, evenPinned: Bool
  ) throws(StorageError) -> [PieceRun] {
    let (taken, file) = package.state.withLock { state in
      (state.ledger.withdraw(pieces, evenPinned: evenPinned), state.file)
    }
    guard !taken.isEmpty else { return [] }
    do {
      try withIndex { index throws(StorageError) in try index.remove(package.id, taken) }
    } catch {
      package.state.withLock { $0.ledger.restore(taken) }
      throw error
    }
    defer { release(taken, of: package) }
    try onPath(package.path) { () throws(SystemError) in
      for run in taken.runs { try file.vacate(run, of: package.geometry) }
    }
    return taken.runs
  }

  /// Drops a package: its index row, then its file. Who still sends from it keeps the open file.
  package func discard(_ id: PackageID) throws(StorageError) {
    try discard(id, cause: nil)
  }

  private func discard(_ id: PackageID, cause: Loss.Cause?) throws(StorageError) {
    try opening.withLock { _ throws(StorageError) in try discardAlone(id, cause: cause) }
  }

  private func discardAlone(_ id: PackageID, cause: Loss.Cause?) throws(StorageError) {
    let package = openPackage(id)
    let runs: [PieceRun]
    let byteCount: Int
    if let package {
      let before = package.state.withLock {
        state -> ([PieceRun], Int, StoredPackage.Place)? in
        // Somebody may have begun to use it since it was chosen.
        if cause == .evicted, state.isInUse { return nil }
        let before = (state.ledger.verified.runs, state.ledger.occupiedByteCount, state.place)
        state.place = .discarded
        return before
      }
      guard let before else { return }
      runs = before.0
      // A published file is nobody's cache: there is nothing here to give back.
      if case .cache = before.2 { byteCount = before.1 } else { byteCount = 0 }
    } else {
      guard let row = try withIndex({ $0.rows[id] }) else { return }
      runs = row.verified.runs
      byteCount =
        PieceLedger(geometry: row.geometry, verified: row.verified, durable: row.durable)
        .occupiedByteCount
    }
    forget(id)
    try withIndex { index throws(StorageError) in try index.remove(id) }
    let path = dataPath(of: id)
    try onPath(path) { () throws(SystemError) in try FileSystem.remove(path) }
    usedCount.subtract(byteCount, ordering: .relaxed)
    if let cause { onLoss(Loss(id: id, runs: runs, cause: cause, isWhole: true)) }
  }
}

extension StoredPackage {
  /// Drops pieces that turned out bad, verified or not; the caller fetches them again. Pieces being
  /// sent are dropped too: bad bytes must not go on being sent.
  package func remove(_ run: PieceRun) throws(StorageError) {
    precondition(geometry.contains(run), "the run lies inside the package")
    let store = try live()
    var pieces = PieceSet(pieceCount: geometry.pieceCount)
    pieces.insert(run)
    guard case .cache = state.withLock({ $0.place }) else { return }
    _ = try store.withdraw(pieces, from: self, evenPinned: true)
    try dropUnverified(pieces, in: store)
  }

  /// Gives back the bytes of pieces that were begun and are not written any more: a download that
  /// was given up.
  package func dropUnverified() throws(StorageError) {
    try dropUnverified(.full(pieceCount: geometry.pieceCount), in: live())
  }

  private func dropUnverified(
    _ pieces: PieceSet, in store: PieceStore
  ) throws(StorageError) {
    let (dropped, file) = state.withLock { state in
      (state.ledger.dropPartial(pieces), state.file)
    }
    guard !dropped.isEmpty else { return }
    defer { store.release(dropped, of: self) }
    try onPath(path) { () throws(SystemError) in
      for run in dropped.runs { try file.vacate(run, of: geometry) }
    }
  }
}
