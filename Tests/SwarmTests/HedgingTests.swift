import Content
import Simulator
import Swarm
import Testing

/// The tail: what a source owes longer than it ever did is asked of a second one.
@Suite struct HedgingTests {
  typealias Fixture = DownloadFixture

  private func limits(_ change: (inout DownloadLimits) -> Void = { _ in }) -> DownloadLimits {
    var limits = DownloadLimits()
    limits.requestsPerSourceMax = 1
    limits.runByteCountMin = 1
    limits.runByteCountMax = 1
    change(&limits)
    return limits
  }

  @Test func theLastPieceIsAskedForTwiceAndTheFirstAnswerWins() throws {
    var fixture = Fixture(pieceCount: 1)
    fixture.follow([1: [0], 2: [0]])
    let first = fixture.fetches[0]
    fixture.tell(.ticked, after: .milliseconds(99))
    #expect(fixture.fetches == [])
    fixture.tell(.ticked, after: .milliseconds(1))
    let second = try #require(fixture.fetches.first)
    #expect(second.run == first.run)
    #expect(second.source != first.source)
    #expect(fixture.download.hedges.pieceCount == 1)
    fixture.tell(.progressed(first.id, byteCount: 1), after: .milliseconds(100))
    #expect(fixture.fetches == [])
    fixture.tell(.arrived(PieceIndex(0), second.id))
    #expect(fixture.cancels == [first.id])
    #expect(fixture.download.hedges.wastedPieceCount == 0)
    #expect(fixture.download.hedges.requestCount == 1)
    #expect(fixture.download.hedges.wonRequestCount == 1)
    #expect(fixture.download.lostHedgeCount == 0)
  }

  @Test func aSecondRequestThatComesTooLateIsLost() throws {
    var fixture = Fixture(pieceCount: 1)
    fixture.follow([1: [0], 2: [0]])
    let first = fixture.fetches[0]
    fixture.tell(.ticked, after: .milliseconds(100))
    let second = try #require(fixture.fetches.first)
    #expect(fixture.download.lostHedgeCount == 0)
    fixture.tell(.arrived(PieceIndex(0), first.id))
    #expect(fixture.cancels == [second.id])
    #expect(fixture.download.hedges.wonRequestCount == 0)
    #expect(fixture.download.lostHedgeCount == 1)
  }

  @Test func aRefusedSecondRequestIsLostAndTheNextMayWin() throws {
    var fixture = Fixture(pieceCount: 1)
    fixture.follow([1: [0], 2: [0], 3: [0]])
    fixture.tell(.ticked, after: .milliseconds(100))
    let second = try #require(fixture.fetches.first)
    fixture.tell(.finished(second.id, .busy(retryAfter: .seconds(1))))
    let third = try #require(fixture.fetches.first)
    #expect(fixture.download.lostHedgeCount == 1)
    fixture.tell(.arrived(PieceIndex(0), third.id))
    fixture.tell(.verified(PieceIndex(0), third.id))
    #expect(fixture.download.hedges.requestCount == 2)
    #expect(fixture.download.hedges.wonRequestCount == 1)
    #expect(fixture.download.lostHedgeCount == 1)
  }

  /// What frozen ones owe at the end comes from others, and some of it from both.
  @Test func aSimulationTellsHowSecondRequestsEnd() {
    var (wonCount, lostCount) = (0, 0)
    for seed in UInt64(1)...3 {
      var scenario = SimulationScenario.equal(
        count: 20, byteCount: 16 << 20, rate: 12_500_000, seed: seed)
      for peer in 0..<4 {
        scenario.peers[peer].conduct = .frozen(at: .milliseconds(400 + 100 * peer))
      }
      let report = scenario.run()
      wonCount += report.wonHedgeCount
      lostCount += report.lostHedgeCount
    }
    #expect(wonCount > 0)
    #expect(lostCount > 0)
  }

  /// Two sources with what is left between them, the first of them asked for the last piece after
  /// it needed `usual` for each piece before.
  private func late(usual: Duration) throws -> (fixture: Fixture, last: Fixture.Fetch) {
    var fixture = Fixture(
      pieceCount: 40,
      limits: limits {
        $0.sourceCounts = 1...1
        $0.stallTime = .seconds(60)
      })
    fixture.follow([1: Array(0..<40)])
    for _ in 0..<39 {
      let fetch = try #require(fixture.fetches.first)
      fixture.tell(.progressed(fetch.id, byteCount: 1), after: usual)
      fixture.deliver(fetch)
    }
    let last = try #require(fixture.fetches.first)
    fixture.refer(sources: [2])
    fixture.tell(.heldBy(Fixture.peer(2), .full(pieceCount: 40)))
    return (fixture, last)
  }

  @Test func aSourceIsLateByItsOwnHistory() throws {
    var (fixture, last) = try late(usual: .milliseconds(400))
    fixture.tell(.ticked, after: .milliseconds(390))
    #expect(fixture.fetches == [])
    fixture.tell(.ticked, after: .milliseconds(60))
    #expect(fixture.fetches.map(\.run) == [last.run])
    #expect(fixture.fetches.map(\.source) == [Fixture.peer(2)])
  }

  @Test func aFastSourceIsLateSooner() throws {
    var (fixture, last) = try late(usual: .milliseconds(10))
    fixture.tell(.ticked, after: fixture.download.limits.hedgeAge - .milliseconds(1))
    #expect(fixture.fetches == [])
    fixture.tell(.ticked, after: .milliseconds(1))
    #expect(fixture.fetches.map(\.run) == [last.run])
  }

  @Test func inTheMiddleOnlyWhatAReaderWaitsForIsHedged() throws {
    for isRead in [false, true] {
      var fixture = Fixture(
        pieceCount: 40, limits: limits { $0.sourceCounts = 1...1 })
      if isRead { fixture.tell(.wanted([Fixture.run(0, 1)])) }
      fixture.follow([1: Array(0..<40), 2: Array(0..<40)])
      #expect(fixture.fetches.count == 1)
      let first = try #require(fixture.fetches.first)
      fixture.tell(.ticked, after: .milliseconds(200))
      #expect(fixture.fetches.map(\.run) == (isRead ? [first.run] : []))
    }
  }

  @Test func noMoreThanAFewPerCentAreAskedForTwice() {
    var fixture = Fixture(
      pieceCount: 256,
      limits: limits {
        $0.sourceCounts = 8...8
        $0.hedgeUnderWayMax = 100
        $0.requestsPerSourceMax = 2
      })
    fixture.follow(Dictionary(uniqueKeysWithValues: (1...16).map { ($0, Array(0..<256)) }))
    // All that can be asked for is, and the rest is held: only what is under way is left.
    let asked = Set(fixture.fetches.flatMap { $0.run.indices })
    for piece in 0..<256 where !asked.contains(piece) {
      fixture.tell(.verified(PieceIndex(piece), RequestID(9_999)))
    }
    var hedges: [Fixture.Fetch] = []
    for _ in 0..<10 {
      fixture.tell(.ticked, after: .milliseconds(100))
      hedges += fixture.fetches
    }
    #expect(hedges.count == 256 / fixture.download.limits.hedgeDivisor)
    #expect(fixture.download.hedges.pieceCount == hedges.count)
  }

  /// Whoever is silent is found out although nothing of it is needed any more.
  @Test func aSilentLoserStaysUntilItIsCalledStalled() throws {
    var fixture = Fixture(pieceCount: 2, limits: limits { $0.sourceCounts = 2...2 })
    fixture.follow([1: [0], 2: [0]])
    let first = try #require(fixture.fetches.first)
    fixture.refer(sources: [])
    fixture.tell(.ticked, after: .milliseconds(100))
    let second = try #require(fixture.fetches.first)
    fixture.tell(.arrived(PieceIndex(0), second.id))
    #expect(fixture.cancels == [])
    fixture.tell(.verified(PieceIndex(0), second.id))
    fixture.tell(.finished(second.id, .complete))
    fixture.tell(.ticked, after: .milliseconds(1_300))
    fixture.tell(.ticked, after: .milliseconds(100))
    #expect(!fixture.download.followed.contains(first.source))
  }
}
