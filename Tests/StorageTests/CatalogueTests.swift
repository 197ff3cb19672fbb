import Content
import Digests
import Foundation
import Posix
import Testing

@testable import Storage

@Suite(.timeLimit(.minutes(1)))
struct CatalogueTests {
  private let scratch: Scratch
  private let progress = Gathered<CatalogueProgress>()
  private let problems = Gathered<CatalogueProblem>()

  init() throws {
    scratch = try Scratch()
    try FileManager.default.createDirectory(
      atPath: scratch.path("root"), withIntermediateDirectories: true)
  }

  private func catalogue(state: String = "state") throws -> Catalogue {
    try Catalogue(
      root: DirectoryRoot(path: scratch.path("root")), state: scratch.path(state),
      publisher: "here", rescanInterval: .seconds(3_600),
      onProgress: { [progress] in progress.add($0) },
      onProblem: { [problems] in problems.add($0) })
  }

  /// Walks once more and returns when all that was found is hashed.
  private func settle(_ catalogue: Catalogue) {
    let scanCount = catalogue.progress.scanCount
    catalogue.rescan()
    progress.wait { _ in
      catalogue.progress.scanCount > scanCount && !catalogue.progress.isHashing
    }
  }

  private func entry(_ path: String, in catalogue: Catalogue) throws -> CatalogueEntry? {
    catalogue.entry(path: path, status: try catalogue.root.open(path).status())
  }

  @Test func givesTheDigestsOfEveryFileBelow() throws {
    let sample = try Sample(byteCount: 3 * 65_536 + 5)
    try scratch.write(sample.bytes, to: "root/some dir/ü.bin")
    let catalogue = try catalogue()
    try catalogue.start()
    settle(catalogue)
    let entry = try #require(try entry("some dir/ü.bin", in: catalogue))
    #expect(entry.id == sample.id)
    #expect(entry.pieceLayer == sample.digests.pieceLayer)
    #expect(entry.manifest.name == "ü.bin")
    #expect(entry.manifest.path == "/some%20dir/%C3%BC.bin")
    #expect(entry.manifest.publisher == "here")
    #expect(entry.manifest.md5 == sample.digests.md5)
    #expect(entry.manifest.sha256 == sample.digests.sha256)
    let found = try #require(catalogue.package(sample.id))
    #expect(found.path == "some dir/ü.bin")
    let leaves = try catalogue.leaves(of: PieceIndex(3), in: entry, file: found.file)
    #expect(
      TreeHash.pieceRoot(leaves: leaves, ofPiece: PieceIndex(3), geometry: sample.geometry)
        == sample.digests.pieceLayer[3])
    catalogue.stop()
  }

  @Test func aRestartHashesNothing() throws {
    let sample = try Sample(byteCount: 2 * 65_536)
    try scratch.write(sample.bytes, to: "root/two")
    for index in 0..<2_000 {
      try scratch.write(Array("\(index)".utf8), to: "root/\(index % 7)/\(index)")
    }
    let first = try catalogue()
    try first.start()
    settle(first)
    #expect(first.progress.hashedCount == 2_001)
    first.stop()

    let second = try catalogue()
    try second.start()
    settle(second)
    #expect(second.progress.fileCount == 2_001)
    #expect(second.progress.hashedCount == 0)
    let entry = try #require(try entry("two", in: second))
    #expect(entry.id == sample.id)
    #expect(entry.pieceLayer == sample.digests.pieceLayer)
    #expect(second.package(sample.id)?.path == "two")
    second.stop()
  }

  @Test func aChangedFileGetsNewDigestsAndTheOldOnesAreNotGiven() throws {
    let (old, new) = (try Sample(byteCount: 100, seed: 1), try Sample(byteCount: 100, seed: 2))
    try scratch.write(old.bytes, to: "root/file")
    let catalogue = try catalogue()
    try catalogue.start()
    settle(catalogue)
    #expect(try entry("file", in: catalogue)?.id == old.id)
    // The same size, in place: only the times tell.
    let file = try OpenFile(path: scratch.path("root/file"), .readWrite)
    try new.bytes.withUnsafeBytes { try file.write($0, at: 0) }
    #expect(try entry("file", in: catalogue)?.id != old.id)
    #expect(catalogue.package(old.id) == nil)
    settle(catalogue)
    #expect(try entry("file", in: catalogue)?.id == new.id)
    catalogue.stop()
  }

  @Test func aRemovedFileLeavesTheIndexAndItsTwinStandsIn() throws {
    let sample = try Sample(byteCount: 70_000)
    try scratch.write(sample.bytes, to: "root/a")
    try scratch.write(sample.bytes, to: "root/b/twin")
    let catalogue = try catalogue()
    try catalogue.start()
    settle(catalogue)
    try FileManager.default.removeItem(atPath: scratch.path("root/a"))
    #expect(catalogue.package(sample.id)?.path == "b/twin")
    settle(catalogue)
    #expect(catalogue.progress.fileCount == 1)
    #expect(
      try catalogue.index.read { index throws(StorageError) in try index.allPaths() } == ["b/twin"])
    try FileManager.default.removeItem(atPath: scratch.path("root/b/twin"))
    settle(catalogue)
    #expect(catalogue.package(sample.id) == nil)
    #expect(try catalogue.index.read { index throws(StorageError) in try index.allPaths() } == [])
    catalogue.stop()
  }

  @Test func linksInsideWorkAndLinksOutAreToldOnce() throws {
    let sample = try Sample(byteCount: 10)
    try scratch.write(sample.bytes, to: "root/dir/real")
    try scratch.write([1], to: "outside")
    let manager = FileManager.default
    try manager.createSymbolicLink(
      atPath: scratch.path("root/link"), withDestinationPath: "dir/real")
    try manager.createSymbolicLink(
      atPath: scratch.path("root/loop"), withDestinationPath: ".")
    try manager.createSymbolicLink(
      atPath: scratch.path("root/out"), withDestinationPath: "../outside")
    let catalogue = try catalogue()
    try catalogue.start()
    settle(catalogue)
    settle(catalogue)
    #expect(try entry("link", in: catalogue)?.id == sample.id)
    #expect(catalogue.progress.fileCount == 2)
    #expect(problems.all.map(\.path) == ["out"])
    guard case .unknown = catalogue.state(of: "out") else {
      Issue.record("a link that leads out is no file")
      return
    }
    catalogue.stop()
  }

  /// Without threads the queue can be looked at: nothing is hashed before `start`.
  @Test func saysWhatIsNotReadyAndWhy() throws {
    for name in ["a", "b", "c"] {
      try scratch.write([UInt8](repeating: 1, count: 1_000), to: "root/\(name)")
    }
    let catalogue = try catalogue()
    for name in ["a", "b", "c"] { #expect(try entry(name, in: catalogue) == nil) }
    catalogue.prioritise("c")
    guard case .queued(let position, let estimate) = catalogue.state(of: "c") else {
      Issue.record("it waits")
      return
    }
    #expect(position == 1)
    #expect(estimate > .zero)
    #expect(catalogue.progress.waitingByteCount == 3_000)
    guard case .unknown = catalogue.state(of: "nothing") else {
      Issue.record("there is no such file")
      return
    }
    try catalogue.start()
    settle(catalogue)
    guard case .ready(let entry) = catalogue.state(of: "c") else {
      Issue.record("it is hashed")
      return
    }
    #expect(entry.manifest.byteCount == 1_000)
    catalogue.stop()
  }

  @Test func aFileThatSomebodyWaitsForInterruptsALongerOne() throws {
    let big = try Sample(byteCount: 3 << 20)
    try scratch.write(big.bytes, to: "root/big")
    try scratch.write([1, 2, 3], to: "root/small")
    let catalogue = try catalogue()
    // Both are urgent, the big one first: at its first chunk the small one goes in between.
    for name in ["big", "small"] {
      #expect(try entry(name, in: catalogue) == nil)
      catalogue.prioritise(name)
    }
    // The first read of all goes wrong, which shows whose it was.
    SystemCalls.withFaults([.init("pread", .failure(5))]) {
      catalogue.hashWaiting(asked: catalogue.hashers[0])
    }
    #expect(problems.all.map(\.path) == ["small"])
    #expect(try entry("big", in: catalogue)?.id == big.id)
    catalogue.stop()
  }

  @Test func theIndexInsideTheRootIsNobodysPackage() throws {
    try scratch.write([1], to: "root/file")
    let catalogue = try catalogue(state: "root/state")
    try catalogue.start()
    settle(catalogue)
    #expect(catalogue.progress.fileCount == 1)
    catalogue.stop()
  }

  @Test func aDamagedIndexIsRebuilt() throws {
    try scratch.write([1, 2, 3], to: "root/file")
    do {
      let catalogue = try catalogue()
      try catalogue.start()
      settle(catalogue)
      catalogue.stop()
    }
    let name = try #require(
      try FileManager.default.contentsOfDirectory(atPath: scratch.path("state"))
        .first { $0.hasSuffix(".sqlite") })
    try scratch.write([UInt8](repeating: 7, count: 4_096), to: "state/\(name)")
    let catalogue = try self.catalogue()
    try catalogue.start()
    settle(catalogue)
    #expect(try entry("file", in: catalogue) != nil)
    #expect(catalogue.progress.hashedCount == 1)
    catalogue.stop()
  }

  @Test func aFileThatCannotBeReadIsToldOnceAndTheOthersAreServed() throws {
    try scratch.write([1], to: "root/bad")
    try scratch.write([2], to: "root/good")
    let catalogue = try catalogue()
    for name in ["bad", "good"] { #expect(try entry(name, in: catalogue) == nil) }
    SystemCalls.withFaults([.init("pread", .failure(5))]) {
      catalogue.hashWaiting(asked: catalogue.hashers[0])
    }
    #expect(problems.all.map(\.path) == ["bad"])
    #expect(problems.all[0].reason.contains("pread"))
    #expect(try entry("good", in: catalogue) != nil)
    #expect(try entry("bad", in: catalogue) == nil)
    SystemCalls.withFaults([.init("pread", .failure(5))]) {
      catalogue.hashWaiting(asked: catalogue.hashers[0])
    }
    #expect(problems.all.count == 1)
    // Once it can be read it is served like any other.
    #expect(try entry("bad", in: catalogue) == nil)
    catalogue.hashWaiting(asked: catalogue.hashers[0])
    #expect(try entry("bad", in: catalogue) != nil)
    catalogue.stop()
  }

  @Test func aNameThatNoManifestCanHaveIsToldAndNotHashed() throws {
    try scratch.write([1], to: "root/line\nbreak")
    let catalogue = try catalogue()
    #expect(try entry("line\nbreak", in: catalogue) == nil)
    catalogue.hashWaiting(asked: catalogue.hashers[0])
    #expect(problems.all.map(\.path) == ["line\nbreak"])
    #expect(catalogue.progress.hashedCount == 0)
    catalogue.stop()
  }

  @Test func theEmptyFileIsAPackage() throws {
    try scratch.write([], to: "root/empty")
    let catalogue = try catalogue()
    #expect(try entry("empty", in: catalogue) == nil)
    catalogue.hashWaiting(asked: catalogue.hashers[0])
    let entry = try #require(try entry("empty", in: catalogue))
    #expect(entry.id == PackageID(root: .zero))
    #expect(entry.pieceLayer.isEmpty)
    catalogue.stop()
    // And after a restart, from the index.
    let next = try self.catalogue()
    #expect(try self.entry("empty", in: next)?.id == entry.id)
  }
}
