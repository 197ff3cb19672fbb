import CSQLite
import Content

/// The one owner of a prepared statement. It keeps its connection alive, so the two are freed in
/// the order SQLite wants.
///
/// Usage: bind the parameters, `step` until false, read columns in between. `step` resets by itself
/// at the end; a caller that stops early calls `reset`.
final class Statement {
  private let handle: OpaquePointer
  private let database: Database

  init(_ handle: OpaquePointer, of database: Database) {
    self.handle = handle
    self.database = database
  }

  deinit { sqlite3_finalize(handle) }

  /// One parameter or column.
  enum Value {
    case integer(Int64)
    case text(String)
    case blob([UInt8])
  }

  /// Tells SQLite to copy what is bound: the Swift value is gone when the statement runs.
  private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

  @discardableResult
  func bind(_ values: Value...) throws(StorageError) -> Statement {
    sqlite3_reset(handle)
    for (index, value) in values.enumerated() {
      let place = Int32(index + 1)
      let code =
        switch value {
        case .integer(let number): sqlite3_bind_int64(handle, place, number)
        case .text(let text): sqlite3_bind_text(handle, place, text, -1, Self.transient)
        case .blob(let bytes):
          // A null pointer would bind NULL, which an empty array's may be.
          bytes.isEmpty
            ? sqlite3_bind_zeroblob(handle, place, 0)
            : sqlite3_bind_blob64(handle, place, bytes, UInt64(bytes.count), Self.transient)
        }
      guard code == SQLITE_OK else { throw database.failure() }
    }
    return self
  }

  /// True when there is a row to read.
  func step() throws(StorageError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE:
      sqlite3_reset(handle)
      return false
    default:
      let failure = database.failure()
      sqlite3_reset(handle)
      throw failure
    }
  }

  /// Runs a statement that has no rows.
  func run() throws(StorageError) {
    while try step() {}
  }

  func reset() { sqlite3_reset(handle) }

  func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

  func text(_ column: Int32) -> String {
    guard let start = sqlite3_column_text(handle, column) else { return "" }
    let count = Int(sqlite3_column_bytes(handle, column))
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  func blob(_ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(handle, column) else { return [] }
    return Array(
      UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }

  /// Nil unless the column holds exactly 32 bytes.
  func digest(_ column: Int32) -> SHA256Digest? { SHA256Digest(bytes: blob(column)) }

  /// Nil unless the column is a whole number of digests.
  func digests(_ column: Int32) -> [SHA256Digest]? {
    let bytes = blob(column)
    guard bytes.count.isMultiple(of: SHA256Digest.byteCount) else { return nil }
    return stride(from: 0, to: bytes.count, by: SHA256Digest.byteCount).map {
      SHA256Digest(bytes.span, at: $0)
    }
  }
}

extension Statement.Value {
  static func integer(_ number: Int) -> Self { .integer(Int64(number)) }
  static func digest(_ digest: SHA256Digest) -> Self { .blob(digest.bytes) }
  static func digests(_ digests: [SHA256Digest]) -> Self {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digests.count * SHA256Digest.byteCount)
    for digest in digests { digest.append(to: &bytes) }
    return .blob(bytes)
  }
}
