import Content
import Swarm
import Testing

/// Which pieces one request asks for: as many as go together without asking for commoner ones first.
struct RunChoiceTests {
  private func fixture(seed: UInt64, holders: [Int: [Int]]) -> DownloadFixture {
    var limits = DownloadLimits()
    limits.runByteCountMin = 2 * Geometry.pieceByteCountMin
    limits.runByteCountMax = limits.runByteCountMin
    limits.requestsPerSourceMax = 1
    var fixture = DownloadFixture(pieceCount: 12, limits: limits)
    fixture.rng = SeededGenerator(seed: seed)
    fixture.follow(holders)
    return fixture
  }

  private func runs(_ fixture: DownloadFixture, from peer: Int) -> [PieceRun] {
    fixture.fetches.filter { $0.source == DownloadFixture.peer(peer) }.map(\.run)
  }

  @Test(arguments: UInt64(1)...16) func aRunTakesWhatIsBeforeAPieceToo(seed: UInt64) {
    let fixture = fixture(seed: seed, holders: [1: [3, 4]])
    #expect(runs(fixture, from: 1) == [DownloadFixture.run(3, 2)])
  }

  @Test(arguments: UInt64(1)...16) func ofEquallyRarePiecesThoseInPairsAreTaken(seed: UInt64) {
    let fixture = fixture(seed: seed, holders: [1: [1, 4, 5, 8, 11]])
    #expect(runs(fixture, from: 1) == [DownloadFixture.run(4, 2)])
  }

  @Test(arguments: UInt64(1)...16) func aRarerPieceComesBeforeAPair(seed: UInt64) {
    let fixture = fixture(seed: seed, holders: [1: [4, 5, 6, 7], 2: [4, 5, 6, 7, 9]])
    #expect(runs(fixture, from: 2) == [DownloadFixture.run(9)])
  }
}
