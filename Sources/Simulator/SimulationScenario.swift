package import Swarm

/// A swarm to run in virtual time: one origin, its peers, what goes wrong. Equal scenarios give
/// equal reports, trace hash included.
package struct SimulationScenario: Hashable, Sendable {
  package var seed: UInt64 = 1
  package var byteCount = 100 << 20
  package var peers: [SimulatedPeer] = []
  /// Bytes a second; full duplex, as for the peers.
  package var originUpRate = 12_500_000
  /// One way, between any two machines.
  package var latency: Duration = .microseconds(500)
  package var downloadLimits = DownloadLimits()
  package var trackerLimits = TrackerLimits()
  /// The run is given up after this much virtual time.
  package var timeMax: Duration = .seconds(600)

  package init() {}

  /// `count` peers with links of `rate` bytes a second both ways, all there from the start.
  package static func equal(count: Int, byteCount: Int, rate: Int, seed: UInt64 = 1) -> Self {
    var scenario = SimulationScenario()
    scenario.seed = seed
    scenario.byteCount = byteCount
    scenario.originUpRate = rate
    scenario.peers = Array(repeating: SimulatedPeer(upRate: rate, downRate: rate), count: count)
    return scenario
  }
}

package struct SimulatedPeer: Hashable, Sendable {
  package enum Conduct: Hashable, Sendable {
    case honest
    /// Serves flipped bits.
    case lying
    /// Says goodbye at the moment given and goes.
    case leaving(at: Duration)
    /// Its machine vanishes: connections break.
    case killed(at: Duration)
    /// It stands still and its connections stay open.
    case frozen(at: Duration)
  }

  /// Bytes a second.
  package var upRate: Int
  package var downRate: Int
  package var arrival: Duration = .zero
  package var conduct = Conduct.honest
  package var slotCount = UploadGate.slotCountDefault
  /// False for a plain `get` that has no listener.
  package var serves = true

  package init(upRate: Int, downRate: Int) {
    self.upRate = upRate
    self.downRate = downRate
  }
}

extension SimulationScenario {
  package func run() -> SimulationReport {
    var world = World(self)
    return world.run()
  }
}
