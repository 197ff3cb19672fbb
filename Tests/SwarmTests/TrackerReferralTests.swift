import Content
import Swarm
import Testing

@Suite struct TrackerReferralTests {
  typealias Fixture = TrackerFixture

  private func peers(_ referral: PackageReferral?) -> [PeerID] {
    (referral?.sources ?? []).map(\.peer)
  }

  private func corrupt(_ number: Int) -> Complaint {
    Complaint(source: Fixture.peer(number), kind: .corrupt, piece: PieceIndex(0))
  }

  @Test func theOriginIsAlwaysListedAndTheAskerNever() {
    var fixture = Fixture(pieceCount: 4)
    #expect(peers(fixture.say(1)) == [.origin])
    fixture.say(2, .whole(fixture.set(0..<4)))
    #expect(peers(fixture.say(1, Fixture.nothing)) == [Fixture.peer(2), .origin])
  }

  @Test func theNearComeFirst() {
    var fixture = Fixture(pieceCount: 4)
    let all = Holdings.whole(fixture.set(0..<4))
    for number in 2..<6 { fixture.say(number, all, site: number == 4 ? "hall" : "yard") }
    #expect(peers(fixture.say(1, site: "hall")).first == Fixture.peer(4))
  }

  @Test func theOverloadedAndTheUnreachableAreNotNamed() {
    var fixture = Fixture(pieceCount: 4)
    let all = Holdings.whole(fixture.set(0..<4))
    fixture.say(2, all, active: 5)
    fixture.say(3, all, port: 0)
    #expect(peers(fixture.say(1)) == [.origin])
  }

  @Test func aCorrupterIsOutAtOnce() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(2, .whole(fixture.set(0..<4)))
    #expect(peers(fixture.say(1)).contains(Fixture.peer(2)))
    fixture.say(1, Fixture.nothing, complaints: [corrupt(2)])
    #expect(
      peers(fixture.say(3)) == [Fixture.peer(1), .origin]
        || peers(fixture.say(3)) == [.origin, Fixture.peer(1)])
    #expect(fixture.tracker.snapshot().suspendedPeerCount == 1)
    fixture.pass(.seconds(601))
    fixture.say(2, .whole(fixture.set(0..<4)))
    #expect(fixture.tracker.snapshot().suspendedPeerCount == 0)
  }

  @Test func whoAccusesEverybodyDropsNobody() {
    var fixture = Fixture(pieceCount: 4)
    for number in 2..<12 { fixture.say(number, .whole(fixture.set(0..<4))) }
    fixture.say(1, complaints: (2..<12).map { corrupt($0) })
    #expect(fixture.tracker.snapshot().suspendedPeerCount == 0)
    // Several victims together are believed again.
    for number in 3..<9 { fixture.say(number, Fixture.nothing, complaints: [corrupt(2)]) }
    #expect(fixture.tracker.snapshot().suspendedPeerCount == 1)
  }

  @Test func theWordOfASuspendedPeerCountsForNothing() {
    var fixture = Fixture(pieceCount: 4)
    for number in 1..<4 { fixture.say(number) }
    fixture.say(1, Fixture.nothing, complaints: [corrupt(2)])
    fixture.say(2, Fixture.nothing, complaints: [corrupt(3)])
    #expect(fixture.tracker.snapshot().suspendedPeerCount == 1)
  }

  @Test func twoWhoCallItDeadTakeItDownUntilItSpeaks() {
    var fixture = Fixture(pieceCount: 4)
    for number in 1..<4 { fixture.say(number) }
    fixture.say(3, .whole(fixture.set(0..<4)))
    let served = Delivery(source: Fixture.peer(3), byteCount: 1_000, duration: .seconds(1))
    fixture.say(4, deliveries: [served])
    let dead = Complaint(source: Fixture.peer(3), kind: .dead, piece: PieceIndex(0))
    fixture.say(1, Fixture.nothing, complaints: [dead])
    #expect(peers(fixture.say(4)).contains(Fixture.peer(3)))
    #expect(!peers(fixture.say(1, Fixture.nothing)).contains(Fixture.peer(3)))
    fixture.say(2, Fixture.nothing, complaints: [dead])
    #expect(!peers(fixture.say(4, Fixture.nothing)).contains(Fixture.peer(3)))
    fixture.say(3, Fixture.nothing)
    #expect(peers(fixture.say(4, Fixture.nothing)).contains(Fixture.peer(3)))
  }

  /// Behind a wall that lets nobody in: its pieces must not count as out, however often it speaks.
  @Test func whomNobodyCanReachHoldsNothingForOthers() {
    var fixture = Fixture(pieceCount: 4)
    for number in 1..<4 { fixture.say(number) }
    fixture.say(3, .whole(fixture.set(0..<4)))
    #expect(fixture.say(1, Fixture.nothing, wanted: 4)!.leases.isEmpty)
    let dead = Complaint(source: Fixture.peer(3), kind: .dead, piece: PieceIndex(0))
    for number in 1..<3 { fixture.say(number, Fixture.nothing, complaints: [dead]) }
    fixture.say(3, Fixture.nothing)
    #expect(!peers(fixture.say(4, Fixture.nothing)).contains(Fixture.peer(3)))
    #expect(!fixture.say(1, Fixture.nothing, wanted: 4)!.leases.isEmpty)
    let served = Delivery(source: Fixture.peer(3), byteCount: 1_000, duration: .seconds(1))
    fixture.say(2, Fixture.nothing, deliveries: [served])
    #expect(peers(fixture.say(4, Fixture.nothing)).contains(Fixture.peer(3)))
  }

  @Test func aLargeSwarmIsSampledAndBounded() {
    var fixture = Fixture(pieceCount: 4)
    for number in 2..<300 { fixture.say(number, .whole(fixture.set(0..<1))) }
    let first = peers(fixture.say(1))
    let second = peers(fixture.say(1, Fixture.nothing))
    #expect(first.count == fixture.tracker.limits.sourceCountMax)
    #expect(Set(first) != Set(second))
  }

  @Test func othersLeasesArePromised() {
    var fixture = Fixture(pieceCount: 4)
    let leases = fixture.say(1, wanted: 4)!.leases
    let promises = fixture.say(2)!.promises
    #expect(promises.map(\.holder) == [Fixture.peer(1)])
    #expect(promises.map(\.run) == leases.map(\.run))
  }
}
