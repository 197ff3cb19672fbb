import Testing

@testable import Storage

struct DatabaseTests {
  private let scratch: Scratch
  private var path: String { scratch.path("index.sqlite") }
  private let schema = Schema(
    applicationID: 7, version: 2, statements: ["CREATE TABLE t (a INTEGER, b BLOB, c TEXT)"])

  init() throws { scratch = try Scratch() }

  @Test func keepsValuesOfEachKind() throws {
    do {
      let database = try Database(path: path, schema: schema)
      try database.prepare("INSERT INTO t VALUES (?, ?, ?)")
        .bind(.integer(-5), .blob([]), .text("häuser")).run()
    }
    let statement = try Database(path: path, schema: schema).prepare("SELECT a, b, c FROM t")
    #expect(try statement.step())
    #expect(statement.integer(0) == -5)
    #expect(statement.blob(1).isEmpty)
    #expect(statement.text(2) == "häuser")
    #expect(try !statement.step())
  }

  @Test func aFailedTransactionLeavesNothing() throws {
    let database = try Database(path: path, schema: schema)
    #expect(throws: StorageError.self) {
      try database.transaction(durably: true) { () throws(StorageError) in
        try database.execute("INSERT INTO t VALUES (1, x'', '')")
        try database.execute("INSERT INTO nowhere VALUES (1)")
      }
    }
    let count = try database.prepare("SELECT count(*) FROM t")
    #expect(try count.step())
    #expect(count.integer(0) == 0)
  }

  @Test func refusesAnotherProgramsDatabaseAndALaterVersion() throws {
    let other = Schema(applicationID: 8, version: 2, statements: schema.statements)
    let later = Schema(applicationID: 7, version: 3, statements: schema.statements)
    for stranger in [other, later] {
      let path = scratch.path("\(stranger.applicationID)-\(stranger.version)")
      _ = try Database(path: path, schema: stranger)
      #expect {
        try Database(path: path, schema: schema)
      } throws: { error in
        if case .foreignDatabase(path, _) = error as? StorageError { true } else { false }
      }
    }
  }

  @Test func saysThatAFileOfRubbishIsDamaged() throws {
    try scratch.write([UInt8](repeating: 0x41, count: 5_000), to: "index.sqlite")
    #expect(throws: StorageError.damagedDatabase(path: path)) {
      try Database(path: path, schema: schema)
    }
  }
}
