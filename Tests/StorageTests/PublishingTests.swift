import Content
import Foundation
import Posix
import Testing

@testable import Storage

@Suite(.timeLimit(.minutes(1)))
struct PublishingTests {
  private let scratch: Scratch
  private let sample: Sample
  private let store: PieceStore
  private var target: String { scratch.path("out.bin") }

  init() throws {
    scratch = try Scratch()
    sample = try Sample(byteCount: 3 * 65_536 + 1)
    store = try PieceStore(directory: scratch.path(".out.bin.spate"))
  }

  @Test func onlyAWholePackageGetsItsName() throws {
    let package = try sample.open(in: store)
    try sample.store(run(0, 3), in: package)
    #expect(throws: StorageError.unfinished(sample.id)) { try package.publish(as: target) }
    #expect(!FileManager.default.fileExists(atPath: target))
    try sample.store(run(3), in: package)
    try package.publish(as: target)
    #expect(try scratch.read("out.bin") == sample.bytes)
    #expect(try FileSystem.status(of: target).permissions == 0o644)
    try store.destroy()
    #expect(!FileManager.default.fileExists(atPath: store.directory))
    #expect(try scratch.read("out.bin") == sample.bytes)
  }

  @Test func itIsServedOnUntilSomebodyChangesIt() throws {
    let package = try sample.open(in: store)
    try sample.store(sample.whole, in: package)
    try package.publish(as: target)
    #expect(store.usedByteCount == 0)
    #expect(store.packages().isEmpty)
    let slice = try #require(package.slice(ByteRange(offset: 65_536, count: 10)!))
    #expect(try bytes(of: slice) == Array(sample.bytes[65_536..<65_546]))
    #expect(package.isIntact)
    // A write is dropped, a bad piece is not punched out: the file is the user's.
    try sample.write(run(0), to: package)
    try package.remove(run(0))
    #expect(try scratch.read("out.bin") == sample.bytes)
    let file = try OpenFile(path: target, .readWrite)
    try file.truncate(to: 5)
    #expect(!package.isIntact)
    try store.close()
  }

  @Test func anotherFileSystemGetsACopy() throws {
    let package = try sample.open(in: store)
    try sample.store(sample.whole, in: package)
    try SystemCalls.withFaults([.init("rename", .failure(18))]) {
      try package.publish(as: target)
    }
    #expect(try scratch.read("out.bin") == sample.bytes)
    #expect(package.isIntact)
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted()
    #expect(names == [".out.bin.spate", "out.bin"])
    let left = try FileManager.default.contentsOfDirectory(
      atPath: store.directory + "/packages")
    #expect(left.isEmpty)
    try store.close()
  }

  @Test func aDiskThatDoesNotKeepItGivesNoFile() throws {
    let package = try sample.open(in: store)
    try sample.store(sample.whole, in: package)
    #expect(throws: StorageError.unfinished(sample.id)) {
      try SystemCalls.withFaults([.init("fdatasync", .failure(5))]) {
        try package.publish(as: target)
      }
    }
    #expect(!FileManager.default.fileExists(atPath: target))
    #expect(package.verified.isEmpty)
    try store.close()
  }

  @Test func anExportLeavesTheCacheAsItIs() throws {
    let package = try sample.open(in: store)
    #expect(throws: StorageError.unfinished(sample.id)) { try package.export(to: target) }
    try sample.store(sample.whole, in: package)
    try package.export(to: target)
    #expect(try scratch.read("out.bin") == sample.bytes)
    #expect(store.packages().map(\.id) == [sample.id])
    try store.close()
  }

  @Test func theEmptyPackageIsWholeFromTheStart() throws {
    let empty = try Sample(byteCount: 0)
    let package = try empty.open(in: store)
    #expect(package.isWhole)
    try package.publish(as: target)
    #expect(try scratch.read("out.bin").isEmpty)
    try store.close()
  }
}
