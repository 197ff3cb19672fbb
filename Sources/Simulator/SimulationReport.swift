import Content
import Swarm

/// What came of a scenario.
package struct SimulationReport: Hashable, Sendable {
  package var seed: UInt64 = 0
  package var peerCount = 0
  package var pieceCount = 0
  /// Honest peers that were to finish, and those that did.
  package var expectedCount = 0
  package var completedCount = 0
  /// The least time the whole swarm needs, seconds.
  package var fluidBound = 0.0
  /// Time from the peer's arrival to its last verified piece, seconds.
  package var medianTime = 0.0
  package var lastTime = 0.0
  /// The same in fluid bounds, each peer's by its own links.
  package var medianStretch = 0.0
  package var lastStretch = 0.0
  /// The longest that an honest peer waited for its next verified piece, seconds.
  package var longestStall = 0.0
  /// When the peers together held every piece, seconds; 0 when they never did.
  package var firstCopyTime = 0.0
  /// Bytes the origin sent, in copies of the package.
  package var originCopies = 0.0
  /// Bytes peers sent to each other, in copies.
  package var peerCopies = 0.0
  package var rejectedPieceCount = 0
  package var refusedRequestCount = 0
  /// Requests for what another source was late with: those that brought a piece first, those that
  /// ended without.
  package var wonHedgeCount = 0
  package var lostHedgeCount = 0
  /// Responses with pieces under receipt that ended in the middle.
  package var brokenOffCount = 0
  /// Pieces that came from peers which were still receiving them.
  package var arrivingPieceCount = 0
  package var announceCount = 0
  /// Steps of all downloads.
  package var decisionCount = 0
  /// What happened in the world, these and all else.
  package var eventCount = 0
  package var virtualTime: Duration = .zero
  /// Where peers have links of several rates, how those of each rate did; the slowest first.
  package var classes: [LinkClass] = []
  /// Broken invariants, with the seed and the step; empty in a good run.
  package var violations: [String] = []
  /// FNV-1a over every decision in order.
  package var traceHash: UInt64 = 0

  package init() {}

  /// Peers with equal downlinks.
  package struct LinkClass: Hashable, Sendable {
    /// Bytes a second.
    package var rate: Int
    /// In the least time a peer of its rate and arrival needs: its own line's, and that of the
    /// origin's line for the first copy.
    package var medianStretch: Double
    package var lastStretch: Double
  }

  /// Peers that were to finish and did not.
  package var failedCount: Int { expectedCount - completedCount }
}

extension SimulationScenario {
  /// max(S/u_origin, S/d_min, N·S/(u_origin+Σu)) (Kumar and Ross, "Peer-assisted file distribution:
  /// the minimum distribution time", 2006), and S/r for sites with links of rate r, seconds.
  package var fluidBound: Double {
    bound(downRate: peers.map(\.downRate).min() ?? originUpRate)
  }

  /// The bound for one peer: its own downlink instead of the slowest.
  func bound(downRate: Int) -> Double {
    let size = Double(geometry.byteCount)
    let sum = peers.reduce(Double(originUpRate)) { $0 + Double($1.upRate) }
    return max(
      size / Double(originUpRate), size / Double(downRate), Double(peers.count) * size / sum,
      siteCount > 1 ? siteRate.map { size / Double($0) } ?? 0 : 0)
  }
}

extension World {
  mutating func noteStall(_ index: Int) {
    let stall = now - peers[index].verifiedAt
    peers[index].verifiedAt = now
    peers[index].longestStall = max(peers[index].longestStall, stall)
  }

  mutating func summary() -> SimulationReport {
    let honest = peers.filter(\.isExpected)
    report.seed = scenario.seed
    report.peerCount = peers.count
    report.pieceCount = geometry.pieceCount
    report.expectedCount = honest.count
    report.completedCount = honest.filter { $0.doneAt != nil }.count
    let lateCount = honest.filter { $0.doneAt == nil && !$0.hasGivenUp }.count
    if lateCount > 0 { violate("\(lateCount) honest peers did not finish") }
    report.fluidBound = scenario.fluidBound
    let finished = honest.compactMap { peer in
      peer.doneAt.map { (peer, ($0 - (.zero + peer.plan.arrival)).seconds) }
    }
    let times = finished.map(\.1).sorted()
    var bounds: [Int: Double] = [:]
    let stretches = finished.map { peer, time in
      let rate = peer.plan.downRate
      let bound = bounds[rate] ?? scenario.bound(downRate: rate)
      bounds[rate] = bound
      return time / bound
    }.sorted()
    if let last = times.last, let lastStretch = stretches.last {
      (report.medianTime, report.lastTime) = (times[times.count / 2], last)
      (report.medianStretch, report.lastStretch) = (stretches[times.count / 2], lastStretch)
    }
    report.classes = classes(of: finished)
    report.longestStall = honest.map(\.longestStall.seconds).max() ?? 0
    let size = Double(geometry.byteCount)
    report.originCopies = originByteCount / size
    report.peerCopies = peerByteCount / size
    for peer in peers {
      report.wonHedgeCount += peer.download.hedges.wonRequestCount
      report.lostHedgeCount += peer.download.lostHedgeCount
    }
    report.eventCount = eventCount
    report.virtualTime = now - .zero
    report.traceHash = trace.value
    return report
  }

  private func classes(of finished: [(peer: PeerActor, seconds: Double)]) -> [SimulationReport
    .LinkClass]
  {
    let rates = Set(finished.map(\.peer.plan.downRate)).sorted()
    guard rates.count > 1 else { return [] }
    let size = Double(geometry.byteCount)
    return rates.map { rate in
      let stretches = finished.filter { $0.peer.plan.downRate == rate }.map { peer, seconds in
        seconds
          / max(
            size / Double(rate),
            size / Double(scenario.originUpRate) - peer.plan.arrival.seconds)
      }.sorted()
      return SimulationReport.LinkClass(
        rate: rate, medianStretch: stretches[stretches.count / 2],
        lastStretch: stretches[stretches.count - 1])
    }
  }
}
