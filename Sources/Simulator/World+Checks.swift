import Content
import Swarm

/// The origin asks those that others complain of.
extension World {
  /// A check takes a connection and a request: two round trips.
  mutating func beginChecks() {
    while let check = tracker.takeCheck() {
      let outcome = outcome(of: check)
      schedule(.checked(check, outcome), after: scenario.latency * 4)
    }
  }

  private func outcome(of check: SourceCheck) -> SourceCheck.Outcome {
    guard let peer = peers.first(where: { $0.id == check.peer }), peer.life == .up else {
      return .unreachable
    }
    guard peer.download.held.contains(check.piece) else { return .unanswered }
    return peer.isLiar ? .wrong : .right
  }
}
