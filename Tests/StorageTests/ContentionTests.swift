import Content
import Posix
import Synchronization
import Testing

@testable import Storage

/// Many threads at one small cache: whatever the order, nobody ever reads a wrong byte.
@Suite(.timeLimit(.minutes(1)))
struct ContentionTests {
  @Test(arguments: [1, 2] as [UInt64])
  func whatIsServedIsAlwaysRight(seed: UInt64) throws {
    let scratch = try Scratch()
    let samples = try (1...3).map { try Sample(byteCount: 6 * 65_536 - 9, seed: $0) }
    let store = try PieceStore(directory: scratch.path("cache"), limit: 9 * 65_536)
    for sample in samples { _ = try sample.open(in: store) }
    let wrongCount = Atomic<Int>(0)
    let readCount = Atomic<Int>(0)
    let unexpected = Gathered<String>()
    let finished = Gathered<Int>()
    var threads: [Joined] = []
    for number in 0..<4 {
      let body: @Sendable () -> Void = {
        var generator = SplitMix(state: seed &* 1_000 &+ UInt64(number))
        for _ in 0..<150 {
          let sample = samples[Int(generator.next() % 3)]
          let piece = run(Int(generator.next() % 6))
          do {
            let package = try sample.open(in: store)
            switch generator.next() % 8 {
            case 0: try package.dropUnverified()
            case 1:
              // A liar: its bytes must never be served.
              let rubbish = [UInt8](repeating: 0xaa, count: 500)
              let offset = sample.geometry.byteRange(of: piece).offset
              try rubbish.withUnsafeBytes { try package.write($0, at: offset) }
            case 2...4: try sample.store(piece, in: package)
            default:
              let range = sample.geometry.byteRange(of: piece)
              guard let pinned = package.pinnedSlice(range) else { continue }
              readCount.add(1, ordering: .relaxed)
              let expected = Array(sample.bytes[range.offset..<range.end])
              if try bytes(of: pinned.slice) != expected {
                wrongCount.add(1, ordering: .relaxed)
              }
            }
          } catch let error as StorageError {
            switch error {
            case .incomplete, .contradicted, .discarded, .limitReached: break
            default: unexpected.add(error.description)
            }
          } catch {
            unexpected.add("\(error)")
          }
        }
        finished.add(number)
      }
      threads.append(Joined(try Thread(name: "test-\(number)", body)))
    }
    for thread in threads { thread.join() }
    #expect(unexpected.all == [])
    #expect(wrongCount.load(ordering: .relaxed) == 0)
    #expect(readCount.load(ordering: .relaxed) > 0)
    for sample in samples {
      let package = try sample.open(in: store)
      package.verified.forEach { piece in
        let range = sample.geometry.byteRange(of: piece)
        #expect(throws: Never.self) {
          let slice = try #require(package.slice(range))
          #expect(try bytes(of: slice) == Array(sample.bytes[range.offset..<range.end]))
        }
      }
      try package.dropUnverified()
    }
    let verified = try samples.map { try $0.open(in: store).occupiedByteCount }
    #expect(store.usedByteCount == verified.reduce(0, +))
    try store.close()
  }

  /// A thread in an array: threads themselves cannot be copied.
  private final class Joined {
    private var thread: Thread?
    init(_ thread: consuming Thread) { self.thread = consume thread }
    func join() { if let thread = thread.take() { thread.join() } }
  }

  private struct SplitMix {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var z = state
      z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
      return z ^ z >> 31
    }
  }
}
