import Content
import Simulator
import Swarm
import Testing

/// A thousand small swarms in which everything goes wrong; each run checks its rules at every step,
/// and what it says names seed and step.
@Suite struct SimulationSeedTests {
  private static let seedsPerTest: UInt64 = 50

  @Test(arguments: UInt64(0)..<20) func rulesHoldInMixedSwarms(part: UInt64) {
    let first = part * Self.seedsPerTest + 1
    for seed in first..<first + Self.seedsPerTest {
      let report = Self.mixed(seed).run()
      #expect(report.violations == [])
      // An origin that dies may take pieces with it whose only holder dies too.
      if seed % 8 != 7 { #expect(report.failedCount == 0, "seed \(seed)") }
    }
  }

  /// Where all pieces have holders that stay, the origin keeps its operator's budget to the byte.
  @Test(arguments: UInt64(1)...60) func theOriginKeepsItsBudget(seed: UInt64) {
    guard let geometry = Geometry(byteCount: 2 << 20) else {
      preconditionFailure("a package has a size")
    }
    var rng = SeededGenerator(seed: seed)
    var scenario = SimulationScenario(geometry: geometry)
    scenario.seed = seed
    var plan = SwarmPlan()
    plan.peerCount = Int.random(in: 2...12, using: &rng)
    plan.slowShare = Double.random(in: 0...0.5, using: &rng)
    if Bool.random(using: &rng) { plan.arrivalRate = 20 }
    if Bool.random(using: &rng) { plan.siteCount = 2 }
    let copies = [1, 1.1, 1.5].randomElement(using: &rng)
    scenario.trackerLimits.originCopiesMax = copies
    scenario.originCopiesMax = copies
    plan.apply(to: &scenario)
    let report = scenario.run()
    #expect(report.violations == [])
    #expect(report.failedCount == 0)
  }

  /// Each seed draws another mixture; the last of eight loses its origin.
  static func mixed(_ seed: UInt64) -> SimulationScenario {
    guard let geometry = Geometry(byteCount: 1 << 20) else {
      preconditionFailure("a package has a size")
    }
    var rng = SeededGenerator(seed: seed)
    var scenario = SimulationScenario(geometry: geometry)
    scenario.seed = seed
    var plan = SwarmPlan()
    plan.peerCount = Int.random(in: 4...8, using: &rng)
    plan.killedShare = Double.random(in: 0...0.3, using: &rng)
    plan.frozenShare = Double.random(in: 0...0.2, using: &rng)
    plan.leavingShare = Double.random(in: 0...0.5, using: &rng)
    plan.slowShare = Double.random(in: 0...0.3, using: &rng)
    plan.liarCount = Int.random(in: 0...1, using: &rng)
    if Bool.random(using: &rng) { plan.arrivalRate = 50 }
    if Bool.random(using: &rng) {
      plan.siteCount = 2
      scenario.siteRate = 6_250_000
    }
    if seed % 4 == 1 {
      scenario.trackerOutage = SimulationScenario.Outage(
        start: .milliseconds(60), length: .milliseconds(500))
    }
    scenario.originDies = seed % 8 == 7
    plan.apply(to: &scenario)
    return scenario
  }
}
