import Content
import Foundation
import Posix
import Testing

@testable import Storage

@Suite(.timeLimit(.minutes(1)))
struct EvictionTests {
  private let scratch: Scratch
  private let losses = Gathered<PieceStore.Loss>()
  private let samples: [Sample]

  init() throws {
    scratch = try Scratch()
    samples = try (1...3).map { try Sample(byteCount: 4 * 65_536, seed: $0) }
  }

  private func store(pieceLimit: Int) throws -> PieceStore {
    try PieceStore(
      directory: scratch.path("cache"), limit: pieceLimit * 65_536, bootID: "one"
    ) { [losses] in losses.add($0) }
  }

  @Test func theLongestUnusedPackageGoes() throws {
    let store = try store(pieceLimit: 8)
    let packages = try samples.map { try $0.open(in: store) }
    try samples[0].store(run(0, 4), in: packages[0])
    try samples[1].store(run(0, 4), in: packages[1])
    // A look at the first makes the second the older one.
    #expect(packages[0].pin(run(0)))
    packages[0].unpin(run(0))
    try samples[2].store(run(0), in: packages[2])
    #expect(packages[1].isDiscarded)
    #expect(packages[0].isWhole)
    #expect(
      losses.all == [
        .init(id: samples[1].id, runs: [run(0, 4)], cause: .evicted, isWhole: true)
      ])
    #expect(store.usedByteCount == 5 * 65_536)
    #expect(throws: StorageError.discarded(samples[1].id)) {
      try samples[1].write(run(0), to: packages[1])
    }
    #expect(try samples[1].open(in: store).verified.isEmpty)
    try store.close()
  }

  @Test func aPackageInUseLosesThePiecesNobodyLookedAt() throws {
    let store = try store(pieceLimit: 4)
    let first = try samples[0].open(in: store)
    let second = try samples[1].open(in: store)
    first.beginUse()
    for index in 0..<4 { try samples[0].store(run(index), in: first) }
    #expect(first.pin(run(0)))
    first.unpin(run(0))
    try samples[1].store(run(0), in: second)
    // One for the need, one for the slack.
    #expect(first.verified == pieces([0, 3], of: 4))
    #expect(losses.all.map(\.runs) == [[run(1, 2)]])
    #expect(losses.all.map(\.isWhole) == [false])
    first.endUse()
    try store.close()
  }

  @Test func nothingIsTakenFromUnderASender() throws {
    let store = try store(pieceLimit: 4)
    let first = try samples[0].open(in: store)
    let second = try samples[1].open(in: store)
    try samples[0].store(run(0, 4), in: first)
    var slice = first.pinnedSlice(ByteRange(offset: 1, count: 4 * 65_536 - 1)!)
    #expect(throws: StorageError.self) { try samples[1].write(run(0), to: second) }
    #expect(first.isWhole)
    #expect(store.usedByteCount == 4 * 65_536)
    #expect(try bytes(of: #require(slice).slice) == Array(samples[0].bytes[1...]))
    slice = nil
    try samples[1].store(run(0), in: second)
    #expect(first.isDiscarded)
    try store.close()
  }

  @Test func anEvictedPieceGivesItsBlocksBackAndComesAgain() throws {
    let store = try store(pieceLimit: 4)
    let package = try samples[0].open(in: store)
    let other = try samples[1].open(in: store)
    package.beginUse()
    try samples[0].store(run(0, 4), in: package)
    let path = "\(store.directory)/packages/\(samples[0].id.hex)"
    let before = try FileSystem.status(of: path).allocatedByteCount
    try samples[1].store(run(0), in: other)
    #expect(try FileSystem.status(of: path).allocatedByteCount < before)
    try store.discard(samples[1].id)
    let missing = package.verified.inverted
    for run in missing.runs { try samples[0].store(run, in: package) }
    let slice = try #require(package.slice(ByteRange(offset: 0, count: 4 * 65_536)!))
    #expect(try bytes(of: slice) == samples[0].bytes)
    package.endUse()
    try store.close()
  }

  @Test func aPackageFromAnEarlierRunIsEvictedWithoutBeingOpened() throws {
    do {
      let store = try store(pieceLimit: 4)
      try samples[0].store(run(0, 4), in: samples[0].open(in: store))
      try store.close()
    }
    let store = try store(pieceLimit: 4)
    try samples[1].store(run(0), in: samples[1].open(in: store))
    #expect(store.packages().map(\.id) == [samples[1].id])
    #expect(losses.all.map(\.id) == [samples[0].id])
    let files = try FileManager.default.contentsOfDirectory(
      atPath: store.directory + "/packages")
    #expect(files == [samples[1].id.hex])
    try store.close()
  }
}
