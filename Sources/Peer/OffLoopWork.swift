import Posix
import Reactor

/// Work that may wait for a disk, done by the workers; what comes of it returns to the loop.
final class OffLoopWork {
  private struct Outcome: Sendable {
    let ticket: Int
    let value: any Sendable
  }

  private final class Waiting {
    var continuations: [Int: (any Sendable) -> Void] = [:]
    var nextTicket = 0
  }

  private let workers: WorkerPool
  private let waiting = Waiting()
  private let outcomes: Mailbox<Outcome>

  init(_ loop: EventLoop, workers: WorkerPool) throws(SystemError) {
    self.workers = workers
    let waiting = waiting
    outcomes = try Mailbox(loop) { outcome in
      waiting.continuations.removeValue(forKey: outcome.ticket)?(outcome.value)
    }
  }

  /// `then` runs on the loop, unless the workers stop first.
  func run<Value: Sendable>(
    _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void
  ) {
    let ticket = waiting.nextTicket
    waiting.nextTicket += 1
    waiting.continuations[ticket] = { value in
      guard let value = value as? Value else {
        preconditionFailure("a ticket is redeemed for what was bought")
      }
      then(value)
    }
    let outcomes = outcomes
    workers.submit { outcomes.post(Outcome(ticket: ticket, value: work())) }
  }
}
