import Content
import Dispatch
import Posix
import Synchronization
import Testing

@testable import Storage

@Suite(.timeLimit(.minutes(1)))
struct WriteTurnsTests {
  @Test func whoeverComesWhileOneWritesLeavesItsBytesToThatOne() {
    var turns = WriteTurns()
    let write = WriteTurns.Write(bytes: .init(start: nil, count: 0), offset: 0) { _ in }
    let isOurs = [turns.add(write), turns.add(write)]
    #expect(isOurs == [true, false])
    let first = turns.next().count
    let isStillTaken = !turns.add(write)
    #expect(first == 2 && isStillTaken)
    let rest = [turns.next().count, turns.next().count]
    #expect(rest == [1, 0])
    let isOursAgain = turns.add(write)
    #expect(isOursAgain)
  }

  /// Whoever of many threads writes, everything is written and told of once.
  @Test func everythingIsWritten() throws {
    let scratch = try Scratch()
    let sample = try Sample(byteCount: 64 * 65_536, seed: 3)
    let store = try PieceStore(directory: scratch.path("cache"))
    let package = try sample.open(in: store)
    let toldCount = Atomic<Int>(0)
    let failureCount = Atomic<Int>(0)
    sample.bytes.withUnsafeBytes { bytes in
      nonisolated(unsafe) let bytes = bytes
      DispatchQueue.concurrentPerform(iterations: 64) { piece in
        let part = UnsafeRawBufferPointer(rebasing: bytes[piece * 65_536..<(piece + 1) * 65_536])
        package.write(part, at: piece * 65_536) { failure in
          toldCount.add(1, ordering: .relaxed)
          if failure != nil { failureCount.add(1, ordering: .relaxed) }
        }
      }
    }
    let counts = [toldCount.load(ordering: .relaxed), failureCount.load(ordering: .relaxed)]
    #expect(counts == [64, 0])
    for piece in 0..<64 { try package.commit(run(piece)) }
    let all = try #require(ByteRange(offset: 0, count: sample.bytes.count))
    let slice = try #require(package.slice(all))
    #expect(try bytes(of: slice) == sample.bytes)
    try store.close()
  }

  @Test func aDiskThatRefusesIsTold() throws {
    let scratch = try Scratch()
    let sample = try Sample(byteCount: 65_536, seed: 4)
    let store = try PieceStore(directory: scratch.path("cache"))
    let package = try sample.open(in: store)
    let isFull = Atomic<Bool>(false)
    SystemCalls.withFaults([.init("pwrite", .failure(28))]) {
      sample.bytes.withUnsafeBytes { bytes in
        package.write(bytes, at: 0) { failure in
          if case .diskFull = failure { isFull.store(true, ordering: .relaxed) }
        }
      }
    }
    let isTold = isFull.load(ordering: .relaxed)
    #expect(isTold)
    try store.close()
  }
}
