import Content
import Swarm
import Testing

/// Pieces asked for while their source still receives them.
@Suite struct DownloadArrivingTests {
  typealias Fixture = DownloadFixture

  /// Follows 1, which holds nothing and was promised the pieces 0 and 1, and 2, which holds `held`.
  private func promised(
    pieceByteCount: Int = 1 << 20, held: [Int] = [], requestCountMax: Int = 1
  ) -> Fixture {
    var limits = DownloadLimits()
    limits.arrivingRequestCountMax = requestCountMax
    var fixture = Fixture(pieceCount: 4, pieceByteCount: pieceByteCount, limits: limits)
    fixture.follow([1: [], 2: held])
    fixture.tell(.promised(Fixture.peer(1), [Fixture.run(0, 2)]))
    return fixture
  }

  @Test func aPromisedPieceThatNobodyHasIsAskedForAtOnce() {
    let fixture = promised()
    #expect(fixture.fetches == [])
    #expect(fixture.arrivingFetches.map(\.source) == [Fixture.peer(1)])
    #expect(fixture.arrivingFetches.allSatisfy { $0.run.count == 1 && $0.run.first.rawValue < 2 })
  }

  @Test func smallPiecesAreWaitedFor() {
    #expect(promised(pieceByteCount: 512 << 10).arrivingFetches == [])
    #expect(promised(pieceByteCount: 1 << 20).arrivingFetches.count == 1)
  }

  @Test func whatSomebodyHasIsNotAskedForEarlier() {
    #expect(promised(held: [0, 1]).arrivingFetches == [])
    #expect(promised(held: [0]).arrivingFetches.map(\.run) == [Fixture.run(1)])
  }

  @Test func onePieceAtATimeOfOneNeighbour() {
    // It has something else to do for us then.
    #expect(promised(requestCountMax: 4).arrivingFetches.count == 1)
  }

  @Test(arguments: [FetchOutcome.notHeld, .brokenOff])
  func aRefusalCostsAShortWaitAndNoComplaint(outcome: FetchOutcome) throws {
    var fixture = promised()
    let fetch = try #require(fixture.arrivingFetches.first)
    fixture.tell(.finished(fetch.id, outcome))
    #expect(fixture.arrivingFetches == [])
    fixture.tell(.ticked, after: .milliseconds(50))
    #expect(fixture.arrivingFetches == [])
    let delay = DownloadLimits().arrivingRetryDelay
    fixture.tell(.ticked, after: delay)
    #expect(fixture.arrivingFetches.count == 1)
    fixture.tell(.ticked, after: .milliseconds(10))
    #expect(fixture.download.followed.contains(Fixture.peer(1)))
    #expect(fixture.announces.allSatisfy { $0.complaints.isEmpty })
  }

  /// It waits for its own source, so nobody is told that it is slow.
  @Test func silenceIsNotHeldAgainstWhoReceivesItself() throws {
    var fixture = promised()
    let fetch = try #require(fixture.arrivingFetches.first)
    var complaints: [Complaint] = []
    var cancels: [RequestID] = []
    for _ in 0..<20 {
      fixture.tell(.ticked, after: .milliseconds(100))
      complaints += fixture.announces.flatMap(\.complaints)
      cancels += fixture.cancels
    }
    #expect(cancels.contains(fetch.id))
    #expect(complaints == [])
    #expect(fixture.download.followed.contains(Fixture.peer(1)))
  }

  @Test func whatCameIsVerifiedAsEver() throws {
    var fixture = promised()
    let fetch = try #require(fixture.arrivingFetches.first)
    fixture.deliver(fetch)
    #expect(fixture.download.held.contains(fetch.run))
    #expect(fixture.arrivingFetches.count == 1)
  }

  /// A block was wrong before the piece was whole.
  @Test(arguments: [PeerID.origin, DownloadFixture.peer(1)])
  func theRestOfABadRunIsNotAwaited(source: PeerID) throws {
    var fixture = Fixture(pieceCount: 4, pieceByteCount: 1 << 20)
    if source.isOrigin {
      fixture.tell(.started)
      fixture.refer(leases: [Fixture.run(0, 4)])
    } else {
      fixture.follow([1: [0, 1, 2, 3]])
    }
    let fetch = try #require(fixture.fetches.first)
    let bad = fetch.run.first
    fixture.tell(.rejected(bad, fetch.id, culprit: source))
    #expect(fixture.cancels.contains(fetch.id))
    #expect(!fixture.download.isUnderWay(bad) || fixture.fetches.contains { $0.run.contains(bad) })
    // What it still sends counts for nothing.
    fixture.tell(.arrived(bad, fetch.id))
    fixture.tell(.finished(fetch.id, .complete))
    fixture.tell(.ticked, after: .seconds(1))
    #expect(!fixture.download.held.contains(bad))
  }
}
