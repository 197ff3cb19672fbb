import Content
import Swarm

/// The origin asks those that others complain of.
extension World {
  /// A check takes a connection and a request: two round trips.
  mutating func beginChecks() {
    while let check = tracker?.takeCheck() {
      let outcome = outcome(of: check)
      schedule(.checked(check, outcome, epoch: trackerEpoch), after: model.latency * 4)
    }
  }

  /// What was asked for a tracker that is gone is of no use to the next.
  mutating func end(_ check: SourceCheck, _ outcome: SourceCheck.Outcome, epoch: Int) {
    guard epoch == trackerEpoch, tracker != nil else { return }
    tracker!.checked(check, outcome, now: now)
    if outcome == .wrong { watch.caughtAt[check.peer] = now }
    beginChecks()
  }

  private func outcome(of check: SourceCheck) -> SourceCheck.Outcome {
    guard let index = indices[check.peer], peers[index].life == .up else { return .unreachable }
    guard peers[index].download.held.contains(check.piece) else { return .unanswered }
    return peers[index].isLiar ? .wrong : .right
  }
}
