import CSQLite

/// Which database this is and what is in it. A file that says otherwise is not touched.
struct Schema {
  /// SQLite's `application_id`: tells our file from any other program's.
  var applicationID: Int32
  /// SQLite's `user_version`. An older file is only an index: it is set aside and rebuilt.
  var version: Int32
  var statements: [String]
}

/// The one owner of a connection. Confined: whoever has it serialises its use, so SQLite's own
/// locks are off.
///
/// The journal is a write-ahead log with `synchronous = NORMAL`: a killed process loses nothing
/// that was committed, a killed machine loses the last transactions and never consistency. That
/// suits facts that can be found out again. Taking a fact back must reach the disk before the file
/// it speaks of is changed, and that is what `transaction(durably:)` is for.
final class Database {
  let path: String
  private let connection: OpaquePointer
  // Kept ready: most of what a short transaction costs would be to read these two words again.
  private var begin, commit: OpaquePointer?

  /// How long a statement waits for another process that reads the file, in milliseconds.
  private static let busyMilliseconds: Int32 = 5_000

  private init(path: String) throws(StorageError) {
    var handle: OpaquePointer?
    let code = sqlite3_open_v2(
      path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
    guard let handle else {
      throw .database(path: path, reason: "no memory to open the index")
    }
    self.path = path
    connection = handle
    guard code == SQLITE_OK else { throw failure() }
    sqlite3_extended_result_codes(handle, 1)
    sqlite3_busy_timeout(handle, Self.busyMilliseconds)
  }

  deinit {
    sqlite3_finalize(begin)
    sqlite3_finalize(commit)
    sqlite3_close_v2(connection)
  }

  /// Opens the file at `path`, creating it. Throws `foreignDatabase` when it is somebody else's and
  /// `damagedDatabase` when it is none.
  /// - Parameter isExclusive: no other process reads it while it is open. The log's index is then in
  ///   our memory instead of shared, and a transaction takes no locks.
  convenience init(
    path: String, schema: Schema, isExclusive: Bool = false
  ) throws(StorageError) {
    try self.init(path: path)
    // Only before the first access does it keep the log's index out of shared memory.
    if isExclusive { try execute("PRAGMA locking_mode = EXCLUSIVE") }
    let owner = try pragma("application_id")
    let version = try pragma("user_version")
    if owner == 0, version == 0, try pragma("schema_version") == 0 {
      try execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
      try transaction { () throws(StorageError) in
        for statement in schema.statements { try execute(statement) }
        try execute("PRAGMA application_id = \(schema.applicationID)")
        try execute("PRAGMA user_version = \(schema.version)")
      }
      return
    }
    guard owner == Int64(schema.applicationID) else {
      throw .foreignDatabase(path: path, reason: "this is another program's database")
    }
    guard version <= Int64(schema.version) else {
      throw .foreignDatabase(path: path, reason: "a later version of spate wrote this index")
    }
    guard version == Int64(schema.version) else { throw .damagedDatabase(path: path) }
    try execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
  }

  func execute(_ sql: String) throws(StorageError) {
    guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
  }

  func prepare(_ sql: String) throws(StorageError) -> Statement {
    Statement(try handle(of: sql), of: self)
  }

  private func handle(of sql: String) throws(StorageError) -> OpaquePointer {
    var handle: OpaquePointer?
    let code = sqlite3_prepare_v3(
      connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
    guard code == SQLITE_OK, let handle else { throw failure() }
    return handle
  }

  /// Runs a statement without parameters and rows, prepared when it is first needed.
  private func run(_ kept: inout OpaquePointer?, _ sql: String) throws(StorageError) {
    if kept == nil { kept = try handle(of: sql) }
    let code = sqlite3_step(kept)
    let failure = code == SQLITE_DONE ? nil : failure()
    sqlite3_reset(kept)
    if let failure { throw failure }
  }

  /// All of `body` or nothing. `durably`: on the disk, not only in the log's pages, when it
  /// returns.
  func transaction<Value>(
    durably: Bool = false, _ body: () throws(StorageError) -> Value
  ) throws(StorageError) -> Value {
    if durably { try execute("PRAGMA synchronous = FULL") }
    let outcome: Result<Value, StorageError>
    do {
      try run(&begin, "BEGIN IMMEDIATE")
      let value = try body()
      try run(&commit, "COMMIT")
      outcome = .success(value)
    } catch {
      // Some failures have rolled back already; then this one has nothing left to undo.
      if sqlite3_get_autocommit(connection) == 0 {
        sqlite3_exec(connection, "ROLLBACK", nil, nil, nil)
      }
      outcome = .failure(error)
    }
    if durably { try execute("PRAGMA synchronous = NORMAL") }
    return try outcome.get()
  }

  /// What the last call on this connection said.
  func failure() -> StorageError {
    let code = sqlite3_extended_errcode(connection)
    switch code & 0xff {
    case SQLITE_CORRUPT, SQLITE_NOTADB: return .damagedDatabase(path: path)
    case SQLITE_FULL: return .diskFull(path: path)
    default:
      return .database(path: path, reason: String(cString: sqlite3_errmsg(connection)))
    }
  }

  private func pragma(_ name: String) throws(StorageError) -> Int64 {
    let statement = try prepare("PRAGMA \(name)")
    return try statement.step() ? statement.integer(0) : 0
  }
}
