import Content
import Simulator
import Swarm
import Testing

/// Large pieces, passed on while they are received.
@Suite struct PassingOnTests {
  private func swarm(_ count: Int, pieces: Int, seed: UInt64) -> SimulationScenario {
    let size = 1 << 20
    var scenario = SimulationScenario(
      geometry: Geometry(byteCount: pieces * size, pieceByteCount: size)!)
    scenario.seed = seed
    scenario.peers = Array(
      repeating: SimulatedPeer(upRate: 12_500_000, downRate: 12_500_000), count: count)
    return scenario
  }

  @Test(arguments: UInt64(1)...6) func equalPeersPassOnAndFinish(seed: UInt64) {
    let report = swarm(8, pieces: 24, seed: seed).run()
    #expect(report.violations == [])
    #expect(report.completedCount == 8)
    #expect(report.arrivingPieceCount > 0)
    #expect(report.originCopies <= 1.2)
  }

  /// The longest that anybody waits for a piece is for the first.
  @Test func itShortensTheBeginning() {
    var (with, without) = (0.0, 0.0)
    for seed in UInt64(1)...4 {
      var scenario = swarm(12, pieces: 16, seed: seed)
      with += scenario.run().longestStall
      scenario.downloadLimits.arrivingPieceByteCountMin = .max
      let report = scenario.run()
      #expect(report.arrivingPieceCount == 0)
      without += report.longestStall
    }
    #expect(with < without)
  }

  @Test(arguments: UInt64(1)...8) func liarsAndDeathsSpoilNothing(seed: UInt64) {
    var scenario = swarm(10, pieces: 16, seed: seed)
    scenario.peers[0].conduct = .lying
    scenario.peers[1].conduct = .killed(at: .milliseconds(300))
    scenario.peers[2].conduct = .frozen(at: .milliseconds(250))
    scenario.peers[3].conduct = .leaving(at: .milliseconds(350))
    let report = scenario.run()
    #expect(report.violations == [])
    #expect(report.completedCount == 6)
  }

  @Test func smallPiecesAreNotPassedOn() {
    let report = SimulationScenario.equal(count: 8, byteCount: 8 << 20, rate: 12_500_000).run()
    #expect(report.arrivingPieceCount == 0)
  }
}
