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

  @Test func theWordOfASuspendedPeerCountsForNothing() {
    var fixture = Fixture(pieceCount: 4)
    for number in 1..<4 { fixture.say(number, .whole(fixture.set(0..<4))) }
    fixture.say(1, Fixture.nothing, complaints: [corrupt(2)])
    fixture.tracker.checked(fixture.tracker.takeCheck()!, .wrong, now: fixture.now)
    fixture.say(2, Fixture.nothing, complaints: [corrupt(3)])
    #expect(fixture.tracker.takeCheck() == nil)
    #expect(fixture.tracker.snapshot().suspendedPeerCount == 1)
  }

  @Test func threeSitesThatCallItDeadTakeItDownUntilItSpeaks() {
    var limits = TrackerLimits()
    limits.checksSources = false
    var fixture = Fixture(pieceCount: 4, limits: limits)
    for number in 1..<6 { fixture.say(number, site: "site \(number)") }
    fixture.say(3, .whole(fixture.set(0..<4)), site: "site 3")
    let served = Delivery(source: Fixture.peer(3), byteCount: 1_000, duration: .seconds(1))
    fixture.say(4, deliveries: [served], site: "site 4")
    let dead = Complaint(source: Fixture.peer(3), kind: .dead, piece: PieceIndex(0))
    for number in 1...2 {
      fixture.say(number, Fixture.nothing, complaints: [dead], site: "site \(number)")
      fixture.say(number, Fixture.nothing, complaints: [dead], site: "site \(number)")
    }
    #expect(peers(fixture.say(4, site: "site 4")).contains(Fixture.peer(3)))
    #expect(
      !peers(fixture.say(1, Fixture.nothing, site: "site 1")).contains(Fixture.peer(3)),
      "whom it failed gets other sources")
    fixture.say(5, Fixture.nothing, complaints: [dead], site: "site 5")
    #expect(!peers(fixture.say(4, Fixture.nothing, site: "site 4")).contains(Fixture.peer(3)))
    fixture.say(3, Fixture.nothing, site: "site 3")
    #expect(peers(fixture.say(4, Fixture.nothing, site: "site 4")).contains(Fixture.peer(3)))
  }

  /// Behind a wall that lets nobody in: its pieces must not count as out, however often it speaks.
  @Test func whomNobodyCanReachHoldsNothingForOthers() {
    var fixture = Fixture(pieceCount: 4)
    for number in 1..<4 { fixture.say(number) }
    fixture.say(3, .whole(fixture.set(0..<4)))
    #expect(fixture.say(1, Fixture.nothing, wanted: 4)!.leases.isEmpty)
    let dead = Complaint(source: Fixture.peer(3), kind: .dead, piece: PieceIndex(0))
    fixture.say(1, Fixture.nothing, complaints: [dead])
    fixture.tracker.checked(fixture.tracker.takeCheck()!, .unreachable, now: fixture.now)
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

/// How many sources an announce is answered with.
@Suite struct SourceCountTests {
  typealias Fixture = TrackerFixture

  private func count(_ referral: PackageReferral?) -> Int { referral?.sources.count ?? 0 }

  /// A member that knows a large swarm hears of a few others in every fourth answer.
  @Test func aKnownMemberHearsOfAFewNowAndThenAndAStarvingOneOfAll() {
    var fixture = Fixture(pieceCount: 4)
    for number in 2..<102 { fixture.say(number, .whole(fixture.set(0..<1))) }
    let limits = fixture.tracker.limits
    let some = limits.freshSourceCountMax
    #expect(count(fixture.say(1)) == limits.sourceCountMax)
    let counts = (0..<8).map { _ in count(fixture.say(1, Fixture.nothing)) }
    #expect(counts == [some, 0, 0, 0, some, 0, 0, 0])
    #expect(count(fixture.say(1, Fixture.nothing, starving: true)) == limits.sourceCountMax)
    for number in 102..<125 { fixture.say(number, .whole(fixture.set(0..<1))) }
    #expect(count(fixture.say(1, Fixture.nothing)) == some)
    for number in 125..<131 { fixture.say(number, .whole(fixture.set(0..<1))) }
    #expect(count(fixture.say(1, Fixture.nothing)) == limits.sourceCountMax)
  }

  @Test func aKnownMemberOfASmallSwarmAlwaysHearsOfOthers() {
    var fixture = Fixture(pieceCount: 4)
    for number in 2..<32 { fixture.say(number, .whole(fixture.set(0..<1))) }
    fixture.say(1)
    for _ in 0..<4 {
      #expect(count(fixture.say(1, Fixture.nothing)) == fixture.tracker.limits.freshSourceCountMax)
    }
  }

  /// A promise is said once, and again to whom it may have been lost.
  @Test func whatWasPromisedBeforeIsNotPromisedAgain() {
    var fixture = Fixture(pieceCount: 8)
    fixture.say(1, wanted: 1)
    let told = fixture.say(2)!.promises
    #expect(told.count == 1)
    #expect(fixture.say(2, Fixture.nothing)!.promises.isEmpty)
    let more = fixture.say(3, wanted: 1)!.leases
    #expect(fixture.say(2, Fixture.nothing)!.promises.map(\.run) == more.map(\.run))
    #expect(fixture.say(2, Fixture.nothing, starving: true)!.promises.count == 2)
  }

  @Test func rankingFollowsWhatPeersSay() {
    var fixture = Fixture(pieceCount: 4)
    let all = Holdings.whole(fixture.set(0..<4))
    for number in 2..<6 { fixture.say(number, all, site: "yard") }
    fixture.say(1, site: "hall")
    fixture.say(5, Fixture.nothing, site: "hall")
    #expect(fixture.say(1, Fixture.nothing, site: "hall")?.sources.first?.peer == Fixture.peer(5))
    fixture.say(5, Fixture.nothing, active: 9, site: "hall")
    let sources = fixture.say(1, Fixture.nothing, site: "hall")?.sources.map(\.peer) ?? []
    #expect(!sources.contains(Fixture.peer(5)))
    fixture.say(4, leaving: true)
    #expect(fixture.say(1, Fixture.nothing, site: "hall")?.sources.count == 3)
  }

  // MARK: Whose name it is

  private func endpoint(of number: Int, toldBy fixture: inout Fixture) -> Endpoint? {
    let referral = fixture.say(9, starving: true)
    return referral?.sources.first { $0.peer == Fixture.peer(number) }?.endpoint
  }

  @Test func nobodySpeaksForAPeerThatIsConnected() {
    var fixture = Fixture(pieceCount: 4)
    let home = Endpoint(address: Fixture.address(1), port: 4_000)
    fixture.say(1, .whole(fixture.set(0..<4)))
    let isKnown = fixture.tracker.connected(Fixture.peer(1), from: Fixture.address(1))
    #expect(isKnown)
    let answer = fixture.say(1, .whole(fixture.set(0..<1)), wanted: 4, from: Fixture.address(66))
    #expect(answer?.leases == [])
    #expect(endpoint(of: 1, toldBy: &fixture) == home)
    fixture.say(1, leaving: true, from: Fixture.address(66))
    #expect(endpoint(of: 1, toldBy: &fixture) == home)
    #expect(fixture.tracker.snapshot().packages[0].heldPieceCount == 4)
  }

  @Test func aPeerWhoseConnectionHasEndedMayBeSomewhereElse() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(1, .whole(fixture.set(0..<4)))
    let isKnown = fixture.tracker.connected(Fixture.peer(1), from: Fixture.address(1))
    #expect(isKnown)
    fixture.tracker.disconnected(Fixture.peer(1))
    fixture.say(1, .whole(fixture.set(0..<4)), from: Fixture.address(66))
    let now = Endpoint(address: Fixture.address(66), port: 4_000)
    #expect(endpoint(of: 1, toldBy: &fixture) == now)
  }
}
