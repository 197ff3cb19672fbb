package import Content
package import Swarm

/// A swarm to run in virtual time: one origin, its peers, what goes wrong. Equal scenarios give
/// equal reports, trace hash included.
package struct SimulationScenario: Hashable, Sendable {
  /// For a while the tracker is gone; the one that comes then knows nothing.
  package struct Outage: Hashable, Sendable {
    package var start: Duration
    package var length: Duration

    package init(start: Duration, length: Duration) {
      self.start = start
      self.length = length
    }
  }

  package var seed: UInt64 = 1
  package var geometry: Geometry
  package var peers: [SimulatedPeer] = []
  /// Bytes a second; full duplex, as for the peers.
  package var originUpRate = 12_500_000
  /// Peers are spread over this many sites; the origin is in none.
  package var siteCount = 1
  /// Bytes a second into and out of each site; nil for no limit.
  package var siteRate: Int?
  package var trackerOutage: Outage?
  /// Once the peers together hold every piece, the origin is gone, its tracker too.
  package var originDies = false
  /// More copies from the origin than this are a violation.
  package var originCopiesMax: Double?
  package var network = NetworkModel()
  package var machine = MachineModel()
  package var downloadLimits = DownloadLimits()
  package var trackerLimits = TrackerLimits()
  /// The run is given up after this much virtual time.
  package var timeMax: Duration = .seconds(600)

  package init(geometry: Geometry) { self.geometry = geometry }

  /// `count` peers with links of `rate` bytes a second both ways, all there from the start.
  package static func equal(count: Int, byteCount: Int, rate: Int, seed: UInt64 = 1) -> Self {
    guard let geometry = Geometry(byteCount: byteCount) else {
      preconditionFailure("a package has a size")
    }
    var scenario = SimulationScenario(geometry: geometry)
    scenario.seed = seed
    scenario.originUpRate = rate
    scenario.peers = Array(repeating: SimulatedPeer(upRate: rate, downRate: rate), count: count)
    return scenario
  }

  package func run() -> SimulationReport {
    var world = World(self)
    return world.run()
  }
}

package struct SimulatedPeer: Hashable, Sendable {
  package enum Conduct: Hashable, Sendable {
    case honest
    /// Serves flipped bits.
    case lying
    /// Says goodbye as soon as it has all, and goes.
    case leavingWhenDone
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
  /// From then to the start of its process: on one machine, processes start one after another.
  package var startDelay: Duration = .zero
  package var site = 0
  package var conduct = Conduct.honest
  package var slotCount = UploadGate.slotCountDefault
  /// False for a plain `get` that has no listener.
  package var serves = true

  /// It is to finish: nothing goes wrong with it.
  package var isExpected: Bool { conduct == .honest || conduct == .leavingWhenDone }

  package init(upRate: Int, downRate: Int) {
    self.upRate = upRate
    self.downRate = downRate
  }
}
