import Content
import Synchronization

/// The catalogue's memory between restarts: the digests of each name, valid for one state of its
/// file. One connection; there is one to write and one to read, so that a request never waits for a
/// transaction.
final class DigestIndex {
  static let schema = Schema(
    applicationID: 0x5370_4361, version: 1,
    statements: [
      """
      CREATE TABLE file (
        path TEXT PRIMARY KEY, byte_count INTEGER NOT NULL, inode INTEGER NOT NULL,
        modified INTEGER NOT NULL, changed INTEGER NOT NULL, root BLOB NOT NULL,
        sha256 BLOB NOT NULL, md5 BLOB NOT NULL) WITHOUT ROWID
      """,
      "CREATE INDEX file_root ON file (root)",
      // Of packages with several pieces; the layer of the others is their root.
      "CREATE TABLE layer (root BLOB PRIMARY KEY, nodes BLOB NOT NULL)",
    ])

  private let database: Database
  private let selectFile, selectLayer, selectPaths, insertFile, insertLayer, deleteFile: Statement

  init(path: String) throws(StorageError) {
    database = try Database(path: path, schema: Self.schema)
    selectFile = try database.prepare(
      """
      SELECT byte_count, inode, modified, changed, root, sha256, md5 FROM file WHERE path = ?
      """)
    selectLayer = try database.prepare("SELECT nodes FROM layer WHERE root = ?")
    selectPaths = try database.prepare("SELECT path FROM file WHERE root = ? ORDER BY path LIMIT ?")
    insertFile = try database.prepare("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    insertLayer = try database.prepare("INSERT OR IGNORE INTO layer VALUES (?, ?)")
    deleteFile = try database.prepare("DELETE FROM file WHERE path = ?")
  }

  /// What the file at `path` was when its digests were recorded.
  func key(of path: String) throws(StorageError) -> FileKey? {
    defer { selectFile.reset() }
    guard try selectFile.bind(.text(path)).step() else { return nil }
    return readKey()
  }

  /// Nil when nothing, or nothing that makes sense, is recorded for this state of the file.
  func record(of path: String, key: FileKey) throws(StorageError) -> DigestRecord? {
    defer { selectFile.reset() }
    guard try selectFile.bind(.text(path)).step(), readKey() == key,
      let root = selectFile.digest(4), let sha256 = selectFile.digest(5),
      let md5 = MD5Digest(bytes: selectFile.blob(6)),
      let geometry = Geometry(byteCount: key.byteCount),
      let layer = try pieceLayer(root: root, pieceCount: geometry.pieceCount)
    else { return nil }
    return DigestRecord(
      path: path, key: key, id: PackageID(root: root), sha256: sha256, md5: md5,
      pieceLayer: layer)
  }

  private func readKey() -> FileKey? {
    guard let byteCount = Int(exactly: selectFile.integer(0)) else { return nil }
    return FileKey(
      byteCount: byteCount, inode: UInt64(bitPattern: selectFile.integer(1)),
      modified: selectFile.integer(2), changed: selectFile.integer(3))
  }

  private func pieceLayer(
    root: SHA256Digest, pieceCount: Int
  ) throws(StorageError) -> [SHA256Digest]? {
    guard pieceCount > 1 else { return Array(repeating: root, count: pieceCount) }
    defer { selectLayer.reset() }
    guard try selectLayer.bind(.digest(root)).step(), let nodes = selectLayer.digests(0),
      nodes.count == pieceCount
    else { return nil }
    return nodes
  }

  /// Names that had these bytes, at most `countMax`.
  func paths(of id: PackageID, countMax: Int) throws(StorageError) -> [String] {
    var paths: [String] = []
    try selectPaths.bind(.digest(id.root), .integer(countMax))
    while try selectPaths.step() { paths.append(selectPaths.text(0)) }
    return paths
  }

  func allPaths() throws(StorageError) -> [String] {
    var paths: [String] = []
    let statement = try database.prepare("SELECT path FROM file ORDER BY path")
    while try statement.step() { paths.append(statement.text(0)) }
    return paths
  }

  /// In one transaction.
  func insert(_ records: [DigestRecord]) throws(StorageError) {
    try database.transaction { () throws(StorageError) in
      for record in records {
        try insertFile.bind(
          .text(record.path), .integer(record.key.byteCount),
          .integer(Int64(bitPattern: record.key.inode)), .integer(record.key.modified),
          .integer(record.key.changed), .digest(record.id.root), .digest(record.sha256),
          .blob(record.md5.bytes)
        ).run()
        guard record.pieceLayer.count > 1 else { continue }
        try insertLayer.bind(.digest(record.id.root), .digests(record.pieceLayer)).run()
      }
    }
  }

  /// In one transaction, with the layers nobody needs any more.
  func remove(_ paths: [String]) throws(StorageError) {
    guard !paths.isEmpty else { return }
    try database.transaction { () throws(StorageError) in
      for path in paths { try deleteFile.bind(.text(path)).run() }
      try database.execute("DELETE FROM layer WHERE root NOT IN (SELECT root FROM file)")
    }
  }
}

/// The two connections, and what to do when the file under them is damaged: it is set aside, and
/// the names are hashed again.
final class DigestIndexFile: Sendable {
  private let path: String
  private let writer: Mutex<DigestIndex>
  private let reader: Mutex<DigestIndex>

  init(path: String) throws(StorageError) {
    self.path = path
    let first: DigestIndex
    do {
      first = try DigestIndex(path: path)
    } catch .damagedDatabase {
      _ = try setAside(path)
      first = try DigestIndex(path: path)
    }
    writer = Mutex(first)
    reader = Mutex(try DigestIndex(path: path))
  }

  /// What damage takes away can be found out again, so a damaged index answers that it knows
  /// nothing; the next write rebuilds it.
  func read<Value: Sendable>(
    _ body: (DigestIndex) throws(StorageError) -> Value?
  ) throws(StorageError) -> Value? {
    try reader.withLock { index throws(StorageError) -> Value? in
      do throws(StorageError) {
        return try body(index)
      } catch .damagedDatabase {
        return nil
      }
    }
  }

  func write(_ body: (DigestIndex) throws(StorageError) -> Void) throws(StorageError) {
    try writer.withLock { index throws(StorageError) in
      do throws(StorageError) {
        try body(index)
      } catch .damagedDatabase {
        _ = try setAside(path)
        index = try DigestIndex(path: path)
        try reader.withLock { reader throws(StorageError) in
          reader = try DigestIndex(path: path)
        }
        try body(index)
      }
    }
  }
}
