package import Content
import Digests
import Posix
import Synchronization

/// Opening packages.
extension PieceStore {
  /// The package with what the cache has of it, or a new empty one. Where the data file is not as
  /// it was left, its pieces are hashed again first, so this can take long: call it from a worker.
  ///
  /// - Parameters:
  ///   - pieceLayer: the root of each piece; checked against the id.
  ///   - metadata: kept for the caller, who finds it again in `packages()`: the encoded manifest.
  package func open(
    id: PackageID, geometry: Geometry, pieceLayer: [SHA256Digest], metadata: [UInt8]
  ) throws(StorageError) -> StoredPackage {
    guard pieceLayer.count == geometry.pieceCount,
      TreeHash.root(pieceLayer: pieceLayer, geometry: geometry) == id.root
    else { throw .mismatched(id) }
    if let package = openPackage(id) { return package }
    let tick = nextTick()
    return try opening.withLock { _ throws(StorageError) in
      try withIndex { index throws(StorageError) in
        try index.register(
          id, geometry: geometry, pieceLayer: pieceLayer, metadata: metadata, tick: tick)
      }
      guard let package = try reopenAlone(id) else { throw .discarded(id) }
      return package
    }
  }

  /// The same for a package that the index knows; nil when it does not.
  package func reopen(_ id: PackageID) throws(StorageError) -> StoredPackage? {
    try opening.withLock { _ throws(StorageError) in try reopenAlone(id) }
  }

  private func reopenAlone(_ id: PackageID) throws(StorageError) -> StoredPackage? {
    if let package = openPackage(id) { return package }
    guard let row = try withIndex({ $0.rows[id] }) else { return nil }
    let path = dataPath(of: id)
    let (file, survey) = try surveyed(row, path: path)
    if survey.kept != row.verified {
      try withIndex { index throws(StorageError) in
        try index.remove(id, row.verified.subtracting(survey.kept))
        try index.add([
          StoreIndex.Addition(
            id: id, pieces: survey.kept, seal: survey.seal, lastUse: row.lastUse)
        ])
      }
    } else if survey.seal != row.seal {
      try withIndex { index throws(StorageError) in
        try index.seal(id, survey.seal, lastUse: row.lastUse)
      }
    }
    var durable = row.durable
    durable.formIntersection(survey.kept)
    let package = StoredPackage(
      row: row, file: file, path: path, in: self, verified: survey.kept, durable: durable)
    let ledger = PieceLedger(geometry: row.geometry, verified: row.verified, durable: durable)
    usedCount.add(package.occupiedByteCount - ledger.occupiedByteCount, ordering: .relaxed)
    remember(package)
    return package
  }

  private struct Survey {
    var kept: PieceSet
    var seal: FileSeal
  }

  /// Opens the data file and finds out what in it can be trusted: all that is indexed when the file
  /// is as it was left, else what still matches the tree.
  private func surveyed(
    _ row: StoreIndex.Row, path: String
  ) throws(StorageError) -> (OpenFile, Survey) {
    try onPath(path) { () throws(SystemError) in
      let isThere = try FileSystem.statusIfPresent(of: path) != nil
      let file = try OpenFile(path: path, .createOrOpen)
      let status = try file.status()
      let isIntact = FileSeal(status) == row.seal && status.byteCount == row.geometry.byteCount
      let candidates =
        if !isThere {
          PieceSet(pieceCount: row.geometry.pieceCount)
        } else if damagedIndexPath != nil, row.verified.isEmpty {
          PieceSet.full(pieceCount: row.geometry.pieceCount)
        } else {
          row.verified
        }
      if status.byteCount != row.geometry.byteCount {
        try file.truncate(to: row.geometry.byteCount)
      }
      let kept =
        isIntact
        ? row.verified
        : try PieceReader.matching(
          candidates, of: row.pieceLayer, geometry: row.geometry, in: file)
      // Pieces that were begun and never verified hold blocks that nothing counts.
      let ledger = PieceLedger(geometry: row.geometry, verified: kept, durable: kept)
      if status.allocatedByteCount > ledger.occupiedByteCount + Geometry.pieceByteCountMin {
        for run in kept.inverted.runs { try file.vacate(run, of: row.geometry) }
      }
      return (file, Survey(kept: kept, seal: FileSeal(try file.status())))
    }
  }
}

extension OpenFile {
  /// Gives the pieces' blocks back.
  func vacate(_ run: PieceRun, of geometry: Geometry) throws(SystemError) {
    // Past the file's end too: a block that the end cuts is only freed as a whole.
    guard
      let range = ByteRange(
        offset: run.first.rawValue * geometry.pieceByteCount,
        count: run.count * geometry.pieceByteCount)
    else { return }
    try punchHole(range)
  }
}
