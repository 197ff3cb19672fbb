import Content
import Foundation
import Posix
import Reactor
import Storage
import Swarm
import Testing

@testable import Peer

@Suite struct PieceAssemblyTests {
  private static let block = Geometry.blockByteCount

  /// A package of two pieces and a short third, in a store of its own.
  private struct Place {
    let directory: ScratchDirectory
    let store: PieceStore
    let package: SamplePackage
    let stored: StoredPackage

    init() throws {
      directory = try ScratchDirectory()
      store = try PieceStore(directory: directory.path)
      package = try SamplePackage(byteCount: 2 * 65_536 + 20_000)
      stored = try package.open(in: store)
    }

    func assembly(_ piece: Int, count: Int = 1) -> PieceAssembly {
      PieceAssembly(
        of: PieceRun(first: PieceIndex(piece), count: count), into: stored, for: RequestID(1),
        from: .origin)
    }

    func take(_ bytes: ArraySlice<UInt8>, at offset: Int, _ assembly: PieceAssembly)
      -> IntakeResult.Verdict?
    {
      PieceAssemblyTests.verdicts(bytes, at: offset, assembly).first?.verdict
    }
  }

  /// By this thread, or by another that was writing when this one came.
  private static func verdicts(
    _ bytes: ArraySlice<UInt8>, at offset: Int, _ assembly: PieceAssembly
  ) -> PieceAssembly.Verdicts {
    let told = Told()
    return bytes.withUnsafeBytes { bytes in
      assembly.take(bytes, at: offset) { told.set($0) }
      return told.wait()
    }
  }

  private final class Told: @unchecked Sendable {
    private let done = DispatchSemaphore(value: 0)
    private var verdicts: PieceAssembly.Verdicts = []

    func set(_ verdicts: PieceAssembly.Verdicts) {
      self.verdicts = verdicts
      done.signal()
    }

    func wait() -> PieceAssembly.Verdicts {
      done.wait()
      return verdicts
    }
  }

  private static func isVerified(_ verdict: IntakeResult.Verdict?) -> Bool {
    if case .verified = verdict { true } else { false }
  }

  private static func isRejected(_ verdict: IntakeResult.Verdict?) -> Bool {
    if case .rejected = verdict { true } else { false }
  }

  @Test func rightBytesAreVerifiedAndStored() throws {
    let place = try Place()
    for piece in 0..<3 {
      let bytes = place.package.piece(piece)
      #expect(Self.isVerified(place.take(bytes[...], at: piece * 65_536, place.assembly(piece))))
      try place.stored.commit(PieceRun(PieceIndex(piece)))
    }
    #expect(place.stored.isWhole)
    try place.store.close()
  }

  /// One bit of each block, and of the first and the last byte.
  @Test func everyFlippedBitIsRejected() throws {
    let place = try Place()
    for piece in [0, 2] {
      let right = place.package.piece(piece)
      let places = Set(stride(from: 0, to: right.count, by: 4_099)).union([right.count - 1])
      for position in places {
        var wrong = right
        wrong[position] ^= 0x10
        let verdict = place.take(wrong[...], at: piece * 65_536, place.assembly(piece))
        #expect(Self.isRejected(verdict))
      }
    }
    #expect(place.stored.verified.isEmpty)
    #expect(place.stored.occupiedByteCount == 0)
    try place.store.close()
  }

  @Test func severalPiecesMayBeOneChunk() throws {
    let place = try Place()
    let bytes = (0..<3).flatMap { place.package.piece($0) }
    let verdicts = Self.verdicts(bytes[...], at: 0, place.assembly(0, count: 3))
    #expect(verdicts.count == 1 && verdicts[0].run.count == 3)
    #expect(Self.isVerified(verdicts[0].verdict))
    try place.stored.commit(verdicts[0].run)
    #expect(place.stored.isWhole)
    try place.store.close()
  }

  @Test(arguments: 0..<3)
  func aBadPieceOfSeveralSpoilsNoOther(bad: Int) throws {
    let place = try Place()
    var bytes = (0..<3).flatMap { place.package.piece($0) }
    bytes[bad * 65_536 + 17_000] ^= 1
    let verdicts = Self.verdicts(bytes[...], at: 0, place.assembly(0, count: 3))
    #expect(verdicts.map(\.run.first.rawValue) == [0, 1, 2])
    for (piece, told) in verdicts.enumerated() {
      #expect(Self.isRejected(told.verdict) == (piece == bad))
      if Self.isVerified(told.verdict) { try place.stored.commit(told.run) }
    }
    #expect(place.stored.verified.count == 2)
    #expect(!place.stored.verified.contains(PieceIndex(bad)))
    try place.store.close()
  }

  @Test(arguments: [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
  func chunksMayComeInAnyOrder(order: [Int]) throws {
    let place = try Place()
    let bytes = place.package.piece(1)
    let assembly = place.assembly(1)
    var verdicts: [IntakeResult.Verdict?] = []
    for index in order {
      let part = bytes[index * Self.block..<(index + 1) * Self.block]
      verdicts.append(place.take(part, at: 65_536 + index * Self.block, assembly))
    }
    #expect(verdicts.dropLast().allSatisfy { $0 == nil })
    #expect(Self.isVerified(verdicts.last ?? nil))
    try place.stored.commit(PieceRun(PieceIndex(1)))
    try place.store.close()
  }

  @Test func oneBadChunkSpoilsItsPieceAndLeavesNothing() throws {
    let place = try Place()
    for bad in 0..<4 {
      var bytes = place.package.piece(0)
      bytes[bad * Self.block + 7] ^= 1
      let assembly = place.assembly(0)
      var verdict: IntakeResult.Verdict?
      for index in 0..<4 {
        let part = bytes[index * Self.block..<(index + 1) * Self.block]
        verdict = place.take(part, at: index * Self.block, assembly)
      }
      #expect(Self.isRejected(verdict))
      #expect(place.stored.occupiedByteCount == 0)
    }
    #expect(Self.isVerified(place.take(place.package.piece(0)[...], at: 0, place.assembly(0))))
    try place.store.close()
  }

  @Test func chunksFromManyThreadsMakeOnePiece() throws {
    let place = try Place()
    let bytes = place.package.piece(1)
    let assembly = place.assembly(1)
    let verified = Counter()
    DispatchQueue.concurrentPerform(iterations: 4) { index in
      let part = bytes[index * Self.block..<(index + 1) * Self.block]
      let verdict = Self.verdicts(part, at: 65_536 + index * Self.block, assembly).first?.verdict
      if Self.isVerified(verdict) { verified.add() }
    }
    #expect(verified.count == 1)
    try place.store.close()
  }

  private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0
    var count: Int { lock.withLock { value } }
    func add() { lock.withLock { value += 1 } }
  }

  @Test func aFullDiskIsNotTheSendersFault() throws {
    let place = try Place()
    let bytes = place.package.piece(0)
    let assembly = place.assembly(0)
    let verdict = SystemCalls.withFaults([.init("pwrite", .failure(28))]) {
      place.take(bytes[...], at: 0, assembly)
    }
    guard case .notStored(.diskFull) = verdict else {
      Issue.record("\(String(describing: verdict))")
      return
    }
    #expect(Self.isVerified(place.take(bytes[...], at: 0, place.assembly(0))))
    try place.store.close()
  }

  @Test func oneFailedChunkFailsThePieceAtItsEnd() throws {
    let place = try Place()
    let bytes = place.package.piece(0)
    let assembly = place.assembly(0)
    let first = SystemCalls.withFaults([.init("pwrite", .failure(5))]) {
      place.take(bytes[..<Self.block], at: 0, assembly)
    }
    #expect(first == nil)
    guard case .notStored = place.take(bytes[Self.block...], at: Self.block, assembly) else {
      Issue.record("a piece that is not on disk was accepted")
      return
    }
    try place.store.close()
  }
}

@Suite(.timeLimit(.minutes(1)))
struct IntakeRoomTests {
  /// Sockets that were paused are read again as soon as the workers have caught up, not only when
  /// the index has taken what they verified.
  @Test func theLoopIsToldOfRoomBeforeThereIsAVerdict() throws {
    let loop = try EventLoop()
    let directory = try ScratchDirectory()
    let store = try PieceStore(directory: directory.path)
    let package = try SamplePackage(byteCount: 4 * 65_536)
    let stored = try package.open(in: store)
    let workers = try WorkerPool(name: "test", threadCount: 1)
    var told = 0
    var verdictCount = 0
    let intake = PieceIntake(
      workers: workers,
      news: try Mailbox(loop) { news in
        switch news {
        case .hasRoom: told += 1
        case .decided: verdictCount += 1
        }
      })
    // Halves of pieces: no verdict comes of them.
    let gate = DispatchSemaphore(value: 0)
    workers.submit { gate.wait() }
    while !intake.isOverloaded {
      let assembly = PieceAssembly(
        of: PieceRun(PieceIndex(0)), into: stored, for: RequestID(1), from: .origin)
      intake.submit(intake.buffers.take(), byteCount: 32_768, at: 0, of: assembly)
    }
    intake.awaitRoom()
    for _ in 0..<3 { loop.turn(waits: false) }
    #expect(told == 0)
    gate.signal()
    loop.run { told > 0 }
    #expect(told == 1 && verdictCount == 0)
    workers.stop()
    try store.close()
  }
}

@Suite struct ChunkBufferPoolTests {
  @Test func whatComesBackIsUsedAgain() {
    let pool = ChunkBufferPool()
    let first = pool.take()
    pool.giveBack(first)
    #expect(pool.take() === first)
    #expect(pool.take() !== first)
  }

  @Test func onlySomeAreKept() {
    let pool = ChunkBufferPool()
    let buffers = (0..<40).map { _ in pool.take() }
    let known = Set(buffers.map { ObjectIdentifier($0) })
    for buffer in buffers { pool.giveBack(buffer) }
    let again = (0..<40).map { _ in pool.take() }
    #expect(again.count { known.contains(ObjectIdentifier($0)) } == 32)
    #expect(Set(again.map { ObjectIdentifier($0) }).count == 40)
  }
}
