package import Content
package import Posix
import Synchronization

/// A loop's way to wait for a disk without standing still: workers bring stretches of files into
/// memory, the loop is told. A few at a time, however many ask; who asked first is served first.
package final class FileReads {
  /// Reads of one loop that are under way at most: the threads, which the first read starts.
  package static let threadCount = 4

  /// How a worker brings bytes in. Another for tests, which make it slow or fail.
  package var bringIn: @Sendable (FileSlice, ByteRange?) throws(SystemError) -> Void = {
    (slice, next) throws(SystemError) in try slice.file.bringIn(slice.range, next: next)
  }

  private struct Outcome: Sendable {
    let ticket: Int
    let failure: SystemError?
  }

  private unowned let loop: EventLoop
  private var crew: (pool: WorkerPool, outcomes: Mailbox<Outcome>)?
  private var waiting: [Int: (SystemError?) -> Void] = [:]
  private var nextTicket = 0

  init(_ loop: EventLoop) { self.loop = loop }

  deinit { crew?.pool.stop() }

  /// Reads that somebody waits for.
  package var count: Int { waiting.count }

  /// Has the slice read.
  /// - Parameters:
  ///   - next: what will be asked for after it.
  ///   - then: called on the loop with what went wrong, if anything; never after the returned read
  ///     was let go.
  /// - Returns: nil when there are no threads to be had.
  package func begin(
    _ slice: FileSlice, next: ByteRange?, then: @escaping (SystemError?) -> Void
  ) -> FileRead? {
    guard let crew = crew ?? makeCrew() else { return nil }
    self.crew = crew
    let ticket = nextTicket
    nextTicket += 1
    let read = FileRead(self, ticket)
    let (outcomes, bringIn, isUnwanted) = (crew.outcomes, bringIn, read.isUnwanted)
    let isTaken = crew.pool.submit {
      var failure: SystemError?
      if !isUnwanted.value.load(ordering: .relaxed) {
        do throws(SystemError) {
          try bringIn(slice, next)
        } catch {
          failure = error
        }
      }
      outcomes.post(Outcome(ticket: ticket, failure: failure))
    }
    guard isTaken else { return nil }
    waiting[ticket] = then
    return read
  }

  fileprivate func forget(_ ticket: Int) { waiting[ticket] = nil }

  private func makeCrew() -> (WorkerPool, Mailbox<Outcome>)? {
    do throws(SystemError) {
      let outcomes = try Mailbox<Outcome>(loop) { [weak self] outcome in
        self?.waiting.removeValue(forKey: outcome.ticket)?(outcome.failure)
      }
      return (try WorkerPool(name: "spate-read", threadCount: Self.threadCount), outcomes)
    } catch {
      // Out of threads or descriptors: the caller does without, and the next one asks again.
      return nil
    }
  }
}

/// A read that somebody waits for. Letting it go says that nobody does any more: it is not begun if
/// it was not yet.
package final class FileRead {
  fileprivate final class Flag: Sendable {
    let value = Atomic<Bool>(false)
  }

  fileprivate let isUnwanted = Flag()
  private weak var reads: FileReads?
  private let ticket: Int

  fileprivate init(_ reads: FileReads, _ ticket: Int) {
    self.reads = reads
    self.ticket = ticket
  }

  deinit {
    isUnwanted.value.store(true, ordering: .relaxed)
    reads?.forget(ticket)
  }
}
