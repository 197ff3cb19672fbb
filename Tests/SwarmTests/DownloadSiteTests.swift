import Content
import Swarm
import Testing

/// What a download fetches from other sites.
@Suite struct DownloadSiteTests {
  typealias Fixture = DownloadFixture

  private func set(_ pieces: [Int], of count: Int) -> PieceSet {
    var set = PieceSet(pieceCount: count)
    for piece in pieces { set.insert(PieceIndex(piece)) }
    return set
  }

  @Test func fromAfarItFetchesOnlyItsCrossings() {
    var fixture = Fixture(pieceCount: 4)
    fixture.tell(.started)
    fixture.refer(sources: [1, 2], near: [1], staysNear: true, crossings: [Fixture.run(2)])
    fixture.tell(.heldBy(Fixture.peer(2), set([0, 1, 2, 3], of: 4)))
    #expect(fixture.fetches.map(\.run) == [Fixture.run(2)])
    fixture.deliver(fixture.fetches[0])
    #expect(fixture.fetches == [])
    fixture.tell(.heldBy(Fixture.peer(1), set([0], of: 4)))
    #expect(fixture.fetches.map(\.source) == [Fixture.peer(1)])
    #expect(fixture.fetches.map(\.run) == [Fixture.run(0)])
  }

  @Test func whoTheTrackerSaysHasACrossingIsAskedWithoutBeingFollowed() {
    var fixture = Fixture(pieceCount: 8)
    fixture.tell(.started)
    let named = [
      // Word of what was not asked for, and of a machine of the own site, changes nothing.
      Promise(holder: Fixture.peer(3), run: Fixture.run(0, 4), expected: .zero),
      Promise(holder: Fixture.peer(1), run: Fixture.run(2, 2), expected: .zero),
      Promise(holder: Fixture.peer(2), run: Fixture.run(6, 2), expected: .seconds(1)),
    ]
    fixture.refer(
      sources: [1, 2, 3], promises: named, near: [1], staysNear: true,
      crossings: [Fixture.run(2, 2)])
    #expect(Set(fixture.fetches.map(\.source)) == [Fixture.peer(3)])
    #expect(Set(fixture.fetches.flatMap { Array($0.run.indices) }) == [2, 3])
    #expect(!fixture.download.followed.contains(Fixture.peer(3)))
  }

  @Test func whoDoesNotHaveTheCrossingIsNotAskedAgain() {
    var fixture = Fixture(pieceCount: 8)
    fixture.tell(.started)
    fixture.refer(
      sources: [1, 2, 3],
      promises: [2, 3].map {
        Promise(holder: Fixture.peer($0), run: Fixture.run(4), expected: .zero)
      }, near: [1], staysNear: true, crossings: [Fixture.run(4)])
    let first = fixture.fetches[0]
    fixture.tell(.finished(first.id, .notHeld))
    #expect(fixture.fetches.map(\.run) == [Fixture.run(4)])
    #expect(fixture.fetches[0].source != first.source)
    fixture.deliver(fixture.fetches[0])
    #expect(fixture.download.held.contains(PieceIndex(4)))
  }

  @Test func itAsksForMoreCrossingsWhenHalfOfThemAreHere() {
    var fixture = Fixture(pieceCount: 8)
    fixture.tell(.started)
    fixture.refer(
      leases: [Fixture.run(0, 2)], sources: [2], staysNear: true,
      crossings: [Fixture.run(4), Fixture.run(6)])
    fixture.tell(.heldBy(Fixture.peer(2), set([4, 6], of: 8)))
    let fetches = fixture.fetches
    #expect(Set(fetches.map(\.run)) == [Fixture.run(4), Fixture.run(6)])
    fixture.deliver(fetches[0])
    #expect(fixture.announces.map(\.wantedPieceCount).contains { $0 > 0 })
  }

  @Test func withNothingUnderWayForLongItAsksAnybody() {
    var fixture = Fixture(pieceCount: 4)
    fixture.tell(.started)
    fixture.refer(sources: [2], staysNear: true)
    fixture.tell(.heldBy(Fixture.peer(2), set([0, 1, 2, 3], of: 4)))
    #expect(fixture.fetches == [])
    fixture.tell(.ticked, after: fixture.download.limits.lonelyTime + .milliseconds(100))
    #expect(fixture.fetches.contains { $0.source == Fixture.peer(2) })
  }

  @Test func theEndGameAsksNobodyOfAnotherSite() {
    for (near, count) in [([Int](), 0), ([3], 1)] {
      var fixture = Fixture(pieceCount: 2)
      fixture.tell(.started)
      fixture.refer(
        sources: [1, 2, 3], near: near, staysNear: true, crossings: [Fixture.run(0, 2)])
      fixture.tell(.heldBy(Fixture.peer(1), set([0, 1], of: 2)))
      let asked = fixture.fetches
      #expect(asked.map(\.source) == [Fixture.peer(1)])
      fixture.tell(.heldBy(Fixture.peer(2), set([0, 1], of: 2)))
      fixture.tell(.heldBy(Fixture.peer(3), set([0, 1], of: 2)))
      fixture.tell(
        .progressed(asked[0].id, byteCount: 1), after: fixture.download.limits.hedgeAge * 2)
      #expect(fixture.fetches.map(\.source) == Array(repeating: Fixture.peer(3), count: count))
    }
  }

  @Test func fewFarStreamsAreEnough() {
    var fixture = Fixture(pieceCount: 4)
    fixture.tell(.started)
    fixture.refer(sources: Array(1...20), near: [1, 2, 3], staysNear: true)
    #expect(fixture.download.followed.count == 3 + fixture.download.limits.farFollowCountMax)
  }

  @Test func whatASlowPeerWasAskedForComesFromTheOriginWhenItHelps() {
    var fixture = Fixture(pieceCount: 64)
    fixture.follow([1: Array(0..<64)])
    let slow = fixture.fetches[0]
    #expect(slow.source == Fixture.peer(1) && slow.run.count > 2)
    fixture.tell(.progressed(slow.id, byteCount: 1_000), after: .milliseconds(400))
    fixture.refer(leases: [Fixture.run(slow.run.first.rawValue, 2)])
    #expect(fixture.cancels.contains(slow.id))
    #expect(fixture.fetches.first?.source == .origin)
    #expect(fixture.fetches.first?.run == Fixture.run(slow.run.first.rawValue, 2))
  }

  @Test func whatIsSoonHereIsNotGivenUp() {
    var fixture = Fixture(pieceCount: 64)
    fixture.follow([1: Array(0..<64)])
    let fetch = fixture.fetches[0]
    for piece in fetch.run.pieces.dropLast() { fixture.tell(.arrived(piece, fetch.id)) }
    fixture.tell(.progressed(fetch.id, byteCount: 1_000), after: .milliseconds(400))
    fixture.refer(leases: [PieceRun(fetch.run.last)])
    #expect(!fixture.cancels.contains(fetch.id))
  }

  @Test func itReportsWhatPeersSend() {
    var fixture = Fixture(pieceCount: 64)
    fixture.follow([1: Array(0..<64)])
    let fetch = fixture.fetches[0]
    var rates: [Int] = []
    for _ in 0..<20 {
      fixture.tell(.progressed(fetch.id, byteCount: 100_000), after: .milliseconds(100))
      rates += fixture.announces.map(\.peerByteRate)
      fixture.refer()
      rates += fixture.announces.map(\.peerByteRate)
    }
    #expect(rates.first == 0)
    #expect((rates.last ?? 0) > 500_000 && (rates.last ?? 0) < 2_000_000, "\(rates)")
  }
}
