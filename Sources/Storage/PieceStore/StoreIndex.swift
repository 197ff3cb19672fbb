import Content
import Posix

/// The cache's index: which packages are there and which of their pieces were verified. One
/// connection, used under the store's lock.
///
/// Pieces that are verified but not yet durable belong to the machine's current boot: the page
/// cache that holds their bytes outlives the process but not the machine.
final class StoreIndex {
  static let schema = Schema(
    applicationID: 0x5370_5069, version: 1,
    statements: [
      "CREATE TABLE session (boot TEXT NOT NULL)",
      """
      CREATE TABLE package (
        key INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, byte_count INTEGER NOT NULL,
        layer BLOB NOT NULL, metadata BLOB NOT NULL)
      """,
      // Apart from the rest, because it is rewritten with every commit and is small.
      """
      CREATE TABLE holding (
        key INTEGER PRIMARY KEY REFERENCES package (key), verified BLOB NOT NULL,
        durable BLOB NOT NULL, last_use INTEGER NOT NULL,
        inode INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL)
      """,
    ])

  struct Row {
    var key: Int64
    var id: PackageID
    var geometry: Geometry
    var pieceLayer: [SHA256Digest]
    var metadata: [UInt8]
    var verified: PieceSet
    var durable: PieceSet
    var lastUse: UInt64
    /// The data file when all of `verified` was known to be in it, nothing else having changed it.
    var seal: FileSeal
  }

  private let database: Database
  private let insertPackage, updateMetadata, writeHolding, deleteHolding, deletePackage: Statement
  private(set) var rows: [PackageID: Row] = [:]
  /// The rows as they were before the transaction under way.
  private var undo: [PackageID: Row] = [:]

  init(path: String, bootID: String) throws(StorageError) {
    database = try Database(path: path, schema: Self.schema, isExclusive: true)
    insertPackage = try database.prepare(
      "INSERT INTO package (id, byte_count, layer, metadata) VALUES (?, ?, ?, ?) RETURNING key")
    updateMetadata = try database.prepare("UPDATE package SET metadata = ? WHERE key = ?")
    writeHolding = try database.prepare(
      "INSERT OR REPLACE INTO holding VALUES (?, ?, ?, ?, ?, ?, ?)")
    deleteHolding = try database.prepare("DELETE FROM holding WHERE key = ?")
    deletePackage = try database.prepare("DELETE FROM package WHERE key = ?")
    try load()
    try enter(bootID: bootID)
  }

  private func load() throws(StorageError) {
    let statement = try database.prepare(
      """
      SELECT key, id, byte_count, layer, metadata, verified, durable, last_use,
        inode, modified, changed FROM package JOIN holding USING (key)
      """)
    while try statement.step() {
      guard let root = statement.digest(1),
        let byteCount = Int(exactly: statement.integer(2)),
        let geometry = Geometry(byteCount: byteCount),
        let layer = statement.digests(3), layer.count == geometry.pieceCount,
        let verified = PieceSet(
          bitmap: statement.blob(5).span, pieceCount: geometry.pieceCount),
        let durable = PieceSet(bitmap: statement.blob(6).span, pieceCount: geometry.pieceCount)
      else { throw .damagedDatabase(path: database.path) }
      let id = PackageID(root: root)
      rows[id] = Row(
        key: statement.integer(0), id: id, geometry: geometry, pieceLayer: layer,
        metadata: statement.blob(4), verified: verified, durable: durable,
        lastUse: UInt64(bitPattern: statement.integer(7)),
        seal: FileSeal(
          inode: UInt64(bitPattern: statement.integer(8)), modified: statement.integer(9),
          changed: statement.integer(10)))
    }
  }

  /// After another boot only what was synchronised counts.
  private func enter(bootID: String) throws(StorageError) {
    let session = try database.prepare("SELECT boot FROM session")
    let last = try session.step() ? session.text(0) : nil
    session.reset()
    guard last != bootID else { return }
    try changing { () throws(StorageError) in
      for id in rows.keys {
        try change(id) { $0.verified.formIntersection($0.durable) }
      }
      try database.execute("DELETE FROM session")
      try database.prepare("INSERT INTO session VALUES (?)").bind(.text(bootID)).run()
    }
  }
}

extension StoreIndex {
  /// A package that is new to the cache, or its new metadata.
  func register(
    _ id: PackageID, geometry: Geometry, pieceLayer: [SHA256Digest], metadata: [UInt8],
    tick: UInt64
  ) throws(StorageError) {
    if let row = rows[id] {
      guard row.metadata != metadata else { return }
      try updateMetadata.bind(.blob(metadata), .integer(row.key)).run()
      rows[id]?.metadata = metadata
      return
    }
    let none = PieceSet(pieceCount: geometry.pieceCount)
    rows[id] = try database.transaction { () throws(StorageError) in
      try insertPackage.bind(
        .digest(id.root), .integer(geometry.byteCount), .digests(pieceLayer), .blob(metadata))
      guard try insertPackage.step() else { throw .damagedDatabase(path: database.path) }
      let key = insertPackage.integer(0)
      insertPackage.reset()
      let row = Row(
        key: key, id: id, geometry: geometry, pieceLayer: pieceLayer, metadata: metadata,
        verified: none, durable: none, lastUse: tick, seal: .none)
      try write(row)
      return row
    }
  }

  struct Addition {
    var id: PackageID
    var pieces: PieceSet
    var seal: FileSeal
    var lastUse: UInt64
  }

  /// All of them in one transaction.
  func add(_ additions: [Addition]) throws(StorageError) {
    try changing { () throws(StorageError) in
      for addition in additions {
        try change(addition.id) {
          $0.verified.formUnion(addition.pieces)
          $0.seal = addition.seal
          $0.lastUse = addition.lastUse
        }
      }
    }
  }

  /// The pieces are on the disk now.
  func markDurable(_ id: PackageID, _ pieces: PieceSet, seal: FileSeal) throws(StorageError) {
    try changing { () throws(StorageError) in
      try change(id) {
        var known = pieces
        known.formIntersection($0.verified)
        $0.durable.formUnion(known)
        $0.seal = seal
      }
    }
  }

  /// Takes pieces back, on the disk too before it returns: their bytes may be gone a moment later,
  /// and no power cut may bring the claim back.
  func remove(_ id: PackageID, _ pieces: PieceSet, seal: FileSeal = .none) throws(StorageError) {
    try changing(durably: true) { () throws(StorageError) in
      try change(id) {
        $0.verified.subtract(pieces)
        $0.durable.subtract(pieces)
        $0.seal = seal
      }
    }
  }

  /// The file will be removed: what is still done to it need not reach the disk.
  func forgoDurability() throws(StorageError) { try database.execute("PRAGMA synchronous = OFF") }

  /// The same for a whole package.
  func remove(_ id: PackageID) throws(StorageError) {
    guard let row = rows[id] else { return }
    try database.transaction(durably: true) { () throws(StorageError) in
      try deleteHolding.bind(.integer(row.key)).run()
      try deletePackage.bind(.integer(row.key)).run()
    }
    rows[id] = nil
  }

  func seal(_ id: PackageID, _ seal: FileSeal, lastUse: UInt64) throws(StorageError) {
    try changing { () throws(StorageError) in
      try change(id) {
        $0.seal = seal
        $0.lastUse = lastUse
      }
    }
  }

  /// The rows in memory follow the transaction: on failure they are as before.
  private func changing(
    durably: Bool = false, _ body: () throws(StorageError) -> Void
  ) throws(StorageError) {
    undo = [:]
    do {
      try database.transaction(durably: durably, body)
    } catch {
      rows.merge(undo) { _, before in before }
      throw error
    }
  }

  private func change(_ id: PackageID, _ body: (inout Row) -> Void) throws(StorageError) {
    guard var row = rows[id] else { return }
    if undo[id] == nil { undo[id] = row }
    body(&row)
    try write(row)
    rows[id] = row
  }

  private func write(_ row: Row) throws(StorageError) {
    try writeHolding.bind(
      .integer(row.key), .blob(row.verified.bitmap), .blob(row.durable.bitmap),
      .integer(Int64(bitPattern: row.lastUse)), .integer(Int64(bitPattern: row.seal.inode)),
      .integer(row.seal.modified), .integer(row.seal.changed)
    ).run()
  }
}

/// What a data file looked like when it was known to be right; any later change shows.
struct FileSeal: Hashable, Sendable {
  /// Matches no file.
  static let none = FileSeal(inode: 0, modified: 0, changed: 0)

  var inode: UInt64
  var modified, changed: Int64

  init(inode: UInt64, modified: Int64, changed: Int64) {
    self.inode = inode
    self.modified = modified
    self.changed = changed
  }

  init(_ status: FileStatus) {
    self.init(inode: status.inode, modified: status.modified, changed: status.changed)
  }
}
