import Content
import HTTP
import Reactor
import Swarm

/// Announces that wait for the others of their turn, of which the loop answers several in one go: the
/// tracker finds what they name together, and answers that leave one after the other find the
/// kernel's code in the cache.
final class AnnounceQueue: EndOfTurnHandler {
  /// Whom to answer.
  struct Call {
    let connection: ServerConnection
    let wantsJSON: Bool
  }

  /// So few that what they are about stays in the cache, and the first waits a fraction of a
  /// millisecond.
  private static let countMax = 16

  private unowned let owner: OriginLoop
  private var calls: [Call] = []
  private var heard: [HeardAnnounce] = []
  // Two pairs of lists change places, so that what joins meanwhile waits, and none is allocated.
  private var answeredCalls: [Call] = []
  private var answeredHeard: [HeardAnnounce] = []
  private var isAnswering = false
  private var isListed = false

  init(_ owner: OriginLoop) { self.owner = owner }

  var isFull: Bool { calls.count >= Self.countMax }

  func add(_ announce: HeardAnnounce, on connection: ServerConnection, wantsJSON: Bool) {
    if !isListed {
      isListed = true
      owner.loop.beforeEndOfTurn(self)
    }
    calls.append(Call(connection: connection, wantsJSON: wantsJSON))
    heard.append(announce)
  }

  func turnDidEnd() {
    answer()
    isListed = false
  }

  /// Answers all. An answer may bring on the next request of its connection, which joins the queue.
  func answer() {
    guard !isAnswering else { return }
    isAnswering = true
    while !calls.isEmpty {
      swap(&calls, &answeredCalls)
      swap(&heard, &answeredHeard)
      owner.answer(answeredCalls, answeredHeard)
      answeredCalls.removeAll(keepingCapacity: true)
      answeredHeard.removeAll(keepingCapacity: true)
    }
    isAnswering = false
  }
}
