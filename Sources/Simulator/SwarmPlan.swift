import Swarm

/// Who takes part and what goes wrong, in shares of the peers: drawn from the scenario's seed.
package struct SwarmPlan: Hashable, Sendable {
  package var peerCount = 20
  /// Bytes a second.
  package var upRate = 12_500_000
  package var downRate = 12_500_000
  package var siteCount = 1
  /// The first peers serve flipped bits.
  package var liarCount = 0
  /// Shares of the others, from 0 to 1: killed in the middle; gone when done; standing still.
  package var killedShare = 0.0
  package var leavingShare = 0.0
  package var frozenShare = 0.0
  /// Peers whose links have `slowRate`, up and down; on top of all else.
  package var slowShare = 0.0
  package var slowRate = 1_250_000
  /// When not empty, each peer's links have one of these, up and down, equally many each; instead of
  /// the rates above.
  package var rates: [Int] = []
  /// Peers a second, as a Poisson process; nil when all are there from the start.
  package var arrivalRate: Double?
  /// From the start of one peer's process to that of the next.
  package var stagger: Duration = .zero

  package init() {}

  /// In the middle: between a tenth and nine tenths of the least time the swarm needs.
  package func apply(to scenario: inout SimulationScenario) {
    var rng = SeededGenerator(seed: scenario.seed ^ 0x5ba7_e000_0000_0001)
    let order = (liarCount..<peerCount).shuffled(using: &rng)
    let slow = Set((0..<peerCount).shuffled(using: &rng).prefix(count(slowShare, of: peerCount)))
    var peers = (0..<peerCount).map { index in
      let isSlow = slow.contains(index)
      var peer = SimulatedPeer(
        upRate: isSlow ? slowRate : upRate, downRate: isSlow ? slowRate : downRate)
      peer.site = index % siteCount
      peer.startDelay = stagger * index
      if index < liarCount { peer.conduct = .lying }
      return peer
    }
    if !rates.isEmpty {
      for (place, index) in (0..<peerCount).shuffled(using: &rng).enumerated() {
        let rate = rates[place % rates.count]
        (peers[index].upRate, peers[index].downRate) = (rate, rate)
      }
    }
    var arrival = Duration.zero
    if let arrivalRate {
      // The first is there at once: a swarm has a beginning.
      for index in (0..<peerCount).shuffled(using: &rng) {
        peers[index].arrival = arrival
        let draw = Double.random(in: 1e-12..<1, using: &rng)
        arrival += .nanoseconds(Int64(-log(draw) / arrivalRate * 1e9))
      }
    }
    scenario.peers = peers
    let span = scenario.fluidBound
    let killedCount = count(killedShare, of: order.count)
    let frozenCount = min(count(frozenShare, of: order.count), order.count - killedCount)
    for (place, index) in order.enumerated() {
      let at =
        peers[index].arrival
        + .nanoseconds(
          Int64(Double.random(in: 0.1...0.9, using: &rng) * span * 1e9))
      if place < killedCount {
        peers[index].conduct = .killed(at: at)
      } else if place < killedCount + frozenCount {
        peers[index].conduct = .frozen(at: at)
      } else if place < killedCount + frozenCount + count(leavingShare, of: order.count) {
        peers[index].conduct = .leavingWhenDone
      }
    }
    scenario.peers = peers
    scenario.siteCount = siteCount
    // Nobody is given up before the slowest had time for the whole, twenty times over.
    scenario.timeMax = max(
      scenario.timeMax, arrival + .nanoseconds(Int64(min(span * 20, 1e8) * 1e9)))
  }

  private func count(_ share: Double, of total: Int) -> Int {
    Int((min(max(share, 0), 1) * Double(total)).rounded())
  }
}

/// Natural logarithm of a positive number: the standard library has none. Of the significand by the
/// series of the inverse hyperbolic tangent, and of the exponent.
private func log(_ value: Double) -> Double {
  let mantissa = value.significand
  let ratio = (mantissa - 1) / (mantissa + 1)
  var (sum, power) = (0.0, ratio)
  for term in stride(from: 1.0, through: 41, by: 2) {
    sum += power / term
    power *= ratio * ratio
  }
  return 2 * sum + Double(value.exponent) * 0.693_147_180_559_945_3
}
