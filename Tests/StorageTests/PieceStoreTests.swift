import Content
import Digests
import Foundation
import Posix
import Testing

@testable import Storage

@Suite(.timeLimit(.minutes(1)))
struct PieceStoreTests {
  private let scratch: Scratch
  private let sample: Sample
  private var directory: String { scratch.path("cache") }

  init() throws {
    scratch = try Scratch()
    sample = try Sample(byteCount: 5 * 65_536 + 77)
  }

  private func store(
    limit: Int? = nil, boot: String = "one", losses: Gathered<PieceStore.Loss> = Gathered()
  ) throws -> PieceStore {
    try PieceStore(directory: directory, limit: limit, bootID: boot) { losses.add($0) }
  }

  @Test func servesOnlyWhatWasCommitted() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.write(run(0, 2), to: package)
    let range = sample.geometry.byteRange(of: run(0, 2))
    #expect(package.slice(range) == nil)
    try package.commit(run(0))
    #expect(package.slice(range) == nil)
    try package.commit(run(0, 2))
    let slice = try #require(package.slice(range))
    #expect(try bytes(of: slice) == Array(sample.bytes[..<range.end]))
    #expect(package.verified == pieces([0, 1], of: 6))
    #expect(store.usedByteCount == 2 * 65_536)
    try store.close()
  }

  @Test func refusesAHalfWrittenRunAndAForeignLayer() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.write(run(0), to: package)
    #expect(throws: StorageError.incomplete(run(0, 2))) { try package.commit(run(0, 2)) }
    let other = try Sample(byteCount: sample.bytes.count, seed: 9)
    #expect(throws: StorageError.mismatched(other.id)) {
      try store.open(
        id: other.id, geometry: other.geometry, pieceLayer: sample.digests.pieceLayer,
        metadata: [])
    }
    try store.close()
  }

  @Test func anotherWritersBytesDoNotPass() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.write(run(1), to: package)
    let rubbish = [UInt8](repeating: 0, count: 1_000)
    try rubbish.withUnsafeBytes { try package.write($0, at: 65_536) }
    #expect(throws: StorageError.contradicted(run(1))) { try package.commit(run(1)) }
    #expect(package.verified.isEmpty)
    // The same bytes twice are no harm.
    try sample.write(run(1), to: package)
    try sample.store(run(1), in: package)
    // And what is verified cannot be written over.
    try rubbish.withUnsafeBytes { try package.write($0, at: 65_536) }
    let slice = try #require(package.slice(sample.geometry.byteRange(of: run(1))))
    #expect(try bytes(of: slice) == Array(sample.bytes[65_536..<131_072]))
    try store.close()
  }

  @Test func commitsFromTheIndexesOwnThread() throws {
    let store = try store()
    let package = try sample.open(in: store)
    let results = Gathered<Bool>()
    for index in 0..<6 {
      try sample.write(run(index), to: package)
      package.commit(run(index)) { result in
        if case .success = result { results.add(true) } else { results.add(false) }
      }
    }
    results.wait { $0.count == 6 }
    #expect(results.all.allSatisfy { $0 })
    #expect(package.isWhole)
    try store.close()
  }

  @Test func aRestartKeepsWhatWasVerified() throws {
    do {
      let store = try store()
      let package = try sample.open(in: store)
      try sample.store(run(1, 2), in: package)
      try sample.write(run(4), to: package)
      try store.close()
    }
    let store = try store(boot: "two")
    let summary = try #require(store.packages().first)
    #expect(summary.id == sample.id)
    #expect(summary.metadata == [1, 2, 3])
    #expect(summary.verifiedCount == 2)
    #expect(store.usedByteCount == 2 * 65_536)
    let package = try #require(try store.reopen(sample.id))
    #expect(package.verified == pieces([1, 2], of: 6))
    #expect(try store.reopen(PackageID(root: .zero)) == nil)
    try store.close()
  }

  /// The process ends without a word: a copy of its directory is what the next one finds.
  @Test func aKilledProcessLosesNothingThatWasCommitted() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.store(run(0, 3), in: package)
    try sample.write(run(4), to: package)
    try FileManager.default.copyItem(atPath: directory, toPath: scratch.path("after"))
    try store.close()
    let next = try PieceStore(directory: scratch.path("after"), bootID: "one")
    #expect(try next.reopen(sample.id)?.verified == pieces([0, 1, 2], of: 6))
    try next.close()
  }

  @Test func afterAnotherBootOnlyWhatWasSynchronizedCounts() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.store(run(0, 2), in: package)
    store.flush()
    try sample.store(run(3), in: package)
    try FileManager.default.copyItem(atPath: directory, toPath: scratch.path("after"))
    try store.close()
    let next = try PieceStore(directory: scratch.path("after"), bootID: "two")
    #expect(try next.reopen(sample.id)?.verified == pieces([0, 1], of: 6))
    try next.close()
  }

  @Test(arguments: [false, true])
  func aFileThatWasTamperedWithIsHashedAgain(isTruncated: Bool) throws {
    do {
      let store = try store()
      let package = try sample.open(in: store)
      try sample.store(sample.whole, in: package)
      try store.close()
    }
    let file = try OpenFile(path: "\(directory)/packages/\(sample.id.hex)", .readWrite)
    if isTruncated {
      try file.truncate(to: 2 * 65_536 + 5)
    } else {
      try [UInt8](repeating: 0xee, count: 9).withUnsafeBytes { try file.write($0, at: 65_536) }
    }
    let store = try store()
    let package = try #require(try store.reopen(sample.id))
    #expect(package.verified == pieces(isTruncated ? [0, 1] : [0, 2, 3, 4, 5], of: 6))
    #expect(store.usedByteCount == package.occupiedByteCount)
    #expect(store.packages().first?.verifiedCount == package.verified.count)
    try store.close()
  }

  @Test func aDamagedIndexIsSetAsideAndThePiecesAreFoundAgain() throws {
    do {
      let store = try store()
      try sample.store(run(0, 3), in: sample.open(in: store))
      try store.close()
    }
    try scratch.write([UInt8](repeating: 0x5a, count: 9_000), to: "cache/index.sqlite")
    let store = try store()
    let aside = try #require(store.damagedIndexPath)
    #expect(FileManager.default.fileExists(atPath: aside))
    #expect(store.packages().isEmpty)
    let package = try sample.open(in: store)
    #expect(package.verified == pieces([0, 1, 2], of: 6))
    try store.close()
  }

  @Test func twoStoresDoNotShareADirectory() throws {
    let store = try store()
    #expect(throws: StorageError.inUse(path: directory)) { try self.store() }
    try store.close()
    try self.store().close()
  }

  @Test func theDirectoryIsPrivate() throws {
    let store = try store()
    #expect(try FileSystem.status(of: directory).permissions == 0o700)
    try store.close()
  }

  @Test func aFullDiskIsToldAndLosesNothing() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.store(run(0), in: package)
    let path = "\(directory)/packages/\(sample.id.hex)"
    #expect(throws: StorageError.diskFull(path: path)) {
      try SystemCalls.withFaults([.init("pwrite", .failure(28))]) {
        try sample.write(run(1), to: package)
      }
    }
    #expect(package.verified == pieces([0], of: 6))
    #expect(throws: StorageError.incomplete(run(1))) { try package.commit(run(1)) }
    try sample.store(run(1), in: package)
    #expect(package.verified == pieces([0, 1], of: 6))
    try store.close()
  }

  @Test func aFailedSynchronizationDropsThePieces() throws {
    let losses = Gathered<PieceStore.Loss>()
    let store = try store(losses: losses)
    let package = try sample.open(in: store)
    try sample.store(run(0), in: package)
    store.flush()
    try sample.store(run(1), in: package)
    try sample.write(run(2), to: package)
    SystemCalls.withFaults([.init("fdatasync", .failure(5))]) { store.flush() }
    #expect(package.verified == pieces([0], of: 6))
    #expect(
      losses.all == [
        PieceStore.Loss(id: sample.id, runs: [run(1)], cause: .notSynchronized, isWhole: false)
      ])
    // What was written before the failure and not yet committed is in doubt as well.
    #expect(throws: StorageError.incomplete(run(2))) { try package.commit(run(2)) }
    #expect(store.packages().first?.verifiedCount == 1)
    try sample.store(run(1), in: package)
    store.flush()
    #expect(package.verified == pieces([0, 1], of: 6))
    try store.close()
  }

  @Test func aBadPieceIsRemoved() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.store(run(0, 2), in: package)
    try sample.write(run(3), to: package)
    try package.remove(run(1, 3))
    #expect(package.verified == pieces([0], of: 6))
    #expect(store.usedByteCount == 65_536)
    try sample.store(run(1), in: package)
    #expect(package.verified == pieces([0, 1], of: 6))
    try store.close()
  }

  @Test func aGivenUpDownloadGivesItsRoomBack() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.store(run(0), in: package)
    try sample.write(run(1, 2), to: package)
    #expect(store.usedByteCount == 3 * 65_536)
    try package.dropUnverified()
    #expect(store.usedByteCount == 65_536)
    try store.close()
  }

  @Test func aLateCommitDoesNotReachAPackagesSuccessor() throws {
    let store = try store()
    let old = try sample.open(in: store)
    try sample.write(sample.whole, to: old)
    try store.discard(sample.id)
    let new = try sample.open(in: store)
    #expect(throws: StorageError.discarded(sample.id)) { try old.commit(sample.whole) }
    let results = Gathered<StorageError?>()
    old.commit(sample.whole) { result in
      if case .failure(let error) = result { results.add(error) } else { results.add(nil) }
    }
    results.wait { $0.count == 1 }
    #expect(results.all == [.incomplete(sample.whole)])
    #expect(new.verified.isEmpty)
    #expect(store.packages().map(\.verifiedCount) == [0])
    #expect(store.usedByteCount == 0)
    try store.close()
  }

  @Test func aClosedStoreTakesNothing() throws {
    let store = try store()
    let package = try sample.open(in: store)
    try sample.store(run(0), in: package)
    try store.close()
    try store.close()
    let results = Gathered<StorageError?>()
    package.commit(run(1)) { result in
      if case .failure(let error) = result { results.add(error) } else { results.add(nil) }
    }
    #expect(results.all == [.closed(path: directory)])
    #expect(throws: StorageError.closed(path: directory)) {
      try store.reopen(PackageID(root: .zero))
    }
    #expect(store.packages().isEmpty)
  }
}
