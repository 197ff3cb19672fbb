import Content
import Swarm
import Testing

/// Who is believed: fifty peers that all hold the package, some of them at other sites.
@Suite struct TrustTests {
  typealias Fixture = TrackerFixture

  private static let peerCount = 50

  private func swarm(limits: TrackerLimits = TrackerLimits()) -> Fixture {
    var fixture = Fixture(pieceCount: 4, limits: limits)
    let all = Holdings.whole(fixture.set(0..<4))
    for number in 1...Self.peerCount { fixture.say(number, all, site: site(number)) }
    return fixture
  }

  private func site(_ number: Int) -> String { "site \(number % 5)" }

  private func corrupt(_ number: Int) -> Complaint {
    Complaint(source: Fixture.peer(number), kind: .corrupt, piece: PieceIndex(1))
  }

  private func dead(_ number: Int) -> Complaint {
    Complaint(source: Fixture.peer(number), kind: .dead, piece: PieceIndex(1))
  }

  /// Answers every question the tracker has, in the order it has them.
  private func answer(
    _ fixture: inout Fixture, _ outcome: (SourceCheck) -> SourceCheck.Outcome
  ) -> [PeerID] {
    var asked: [PeerID] = []
    while let check = fixture.tracker.takeCheck() {
      asked.append(check.peer)
      fixture.tracker.checked(check, outcome(check), now: fixture.now)
    }
    return asked
  }

  private func suspendedCount(_ fixture: Fixture) -> Int {
    fixture.tracker.snapshot().suspendedPeerCount
  }

  @Test func oneVictimIsEnoughWhenTheAccusedConvictsItself() {
    var fixture = swarm()
    fixture.say(1, Fixture.nothing, complaints: [corrupt(2)], site: site(1))
    #expect(suspendedCount(fixture) == 0)
    #expect(answer(&fixture) { _ in .wrong } == [Fixture.peer(2)])
    #expect(suspendedCount(fixture) == 1)
    let told = fixture.say(3, Fixture.nothing, site: site(3))
    #expect(told?.suspended == [Fixture.peer(2)])
    #expect(told?.sources.contains { $0.peer == Fixture.peer(2) } == false)
  }

  @Test func thePenaltyEnds() {
    var fixture = swarm()
    fixture.say(1, Fixture.nothing, complaints: [corrupt(2)])
    _ = answer(&fixture) { _ in .wrong }
    let penalty = fixture.tracker.limits.corruptPenalty
    for _ in 0..<Int(penalty.seconds) {
      fixture.pass(.seconds(1))
      fixture.say(2, Fixture.nothing)
    }
    #expect(suspendedCount(fixture) == 0)
  }

  @Test func fiveFalseAccusersAmongFiftyDropNobody() {
    var fixture = swarm()
    for round in 0..<20 {
      for liar in 1...5 {
        let victims = (6...Self.peerCount).filter { ($0 + round) % 5 == liar % 5 }
        fixture.say(
          liar, Fixture.nothing, complaints: victims.map { corrupt($0) } + victims.map { dead($0) },
          site: site(liar))
        _ = answer(&fixture) { _ in .right }
        #expect(suspendedCount(fixture) == 0)
      }
      fixture.pass(.milliseconds(500))
      for number in 1...Self.peerCount { fixture.say(number, Fixture.nothing, site: site(number)) }
    }
    let sources = fixture.tracker.sources(
      of: Fixture.package, for: Fixture.address(1), now: fixture.now, rng: &fixture.rng)
    #expect(sources?.sources.count == fixture.tracker.limits.sourceCountMax)
  }

  @Test func fiveFalseAccusersOfOneDropNobody() {
    var fixture = swarm()
    for liar in 1...5 {
      fixture.say(
        liar, Fixture.nothing, complaints: [corrupt(40), dead(40)], site: site(liar))
    }
    #expect(suspendedCount(fixture) == 0)
    #expect(answer(&fixture) { _ in .right } == [Fixture.peer(40)])
    #expect(suspendedCount(fixture) == 0)
    #expect(
      fixture.say(40, Fixture.nothing)?.suspended.isEmpty == true)
  }

  @Test func whereNobodyCanAskTwoSitesMustAgree() {
    var limits = TrackerLimits()
    limits.checksSources = false
    var fixture = swarm(limits: limits)
    fixture.say(1, Fixture.nothing, complaints: [corrupt(40)], site: site(1))
    fixture.say(6, Fixture.nothing, complaints: [corrupt(40)], site: site(6))
    #expect(suspendedCount(fixture) == 0, "both speak from one site")
    fixture.say(2, Fixture.nothing, complaints: [corrupt(40)], site: site(2))
    #expect(suspendedCount(fixture) == 1)
  }

  @Test func thoseItServedWellSpeakForIt() {
    var limits = TrackerLimits()
    limits.checksSources = false
    var fixture = swarm(limits: limits)
    let served = Delivery(source: Fixture.peer(40), byteCount: 1_000_000, duration: .seconds(1))
    for number in 10..<13 {
      fixture.say(number, Fixture.nothing, deliveries: [served], site: site(number))
    }
    for accuser in 1...3 {
      fixture.say(accuser, Fixture.nothing, complaints: [corrupt(40)], site: site(accuser))
    }
    #expect(suspendedCount(fixture) == 0)
    fixture.say(4, Fixture.nothing, complaints: [corrupt(40)], site: site(4))
    #expect(suspendedCount(fixture) == 1)
  }

  /// It sends the origin what is right and chooses its victims.
  @Test func manyVictimsOutweighARefutation() {
    var fixture = swarm()
    for number in 1...5 {
      for victim in stride(from: number, through: 40, by: 5) where victim != 40 {
        fixture.say(victim, Fixture.nothing, complaints: [corrupt(40)], site: site(victim))
        _ = answer(&fixture) { _ in .right }
      }
    }
    #expect(suspendedCount(fixture) == 1)
  }

  @Test func oneThatCannotBeReachedIsOutUntilItIsHeard() {
    var limits = TrackerLimits()
    limits.sourceCountMax = 64
    var fixture = swarm(limits: limits)
    let served = Delivery(source: Fixture.peer(2), byteCount: 1_000, duration: .seconds(1))
    fixture.say(3, Fixture.nothing, deliveries: [served], site: site(3))
    fixture.say(1, Fixture.nothing, complaints: [dead(2)], site: site(1))
    _ = answer(&fixture) { _ in .unreachable }
    func isListed() -> Bool {
      var rng = fixture.rng
      return (0..<20).contains { _ in
        fixture.tracker.sources(
          of: Fixture.package, for: Fixture.address(4), now: fixture.now, rng: &rng)!
          .sources.contains { $0.peer == Fixture.peer(2) }
      }
    }
    #expect(!isListed())
    fixture.say(2, Fixture.nothing, site: site(2))
    #expect(isListed())
  }

  @Test func aPeerIsAskedOnceAtATimeAndLeftInPeaceAfterwards() {
    var fixture = swarm()
    for number in 3..<9 { fixture.say(number, Fixture.nothing, complaints: [dead(2)]) }
    let first = fixture.tracker.takeCheck()
    #expect(first?.peer == Fixture.peer(2))
    #expect(fixture.tracker.takeCheck() == nil)
    fixture.tracker.checked(first!, .right, now: fixture.now)
    fixture.say(9, Fixture.nothing, complaints: [dead(2)])
    #expect(fixture.tracker.takeCheck() == nil)
    fixture.pass(.seconds(2))
    fixture.say(9, Fixture.nothing, complaints: [dead(2)])
    #expect(fixture.tracker.takeCheck()?.peer == Fixture.peer(2))
  }

  @Test func anAnswerNobodyAskedForChangesNothing() {
    var fixture = swarm()
    let check = SourceCheck(
      peer: Fixture.peer(2), endpoint: Endpoint(address: Fixture.address(2), port: 4_000),
      package: Fixture.package, piece: PieceIndex(0))
    fixture.tracker.checked(check, .wrong, now: fixture.now)
    #expect(suspendedCount(fixture) == 0)
  }

  @Test func questionsAreBounded() {
    var fixture = Fixture(pieceCount: 1)
    let all = Holdings.whole(fixture.set(0..<1))
    for number in 1...400 { fixture.say(number, all) }
    for number in 401...408 {
      let accused = (0..<50).map { (number - 401) * 50 + $0 + 1 }
      fixture.say(number, complaints: accused.map { dead($0) })
    }
    var asked: [SourceCheck] = []
    while let check = fixture.tracker.takeCheck() { asked.append(check) }
    #expect(asked.count == 8)
    var count = 0
    while let check = asked.popLast() {
      fixture.tracker.checked(check, .right, now: fixture.now)
      count += 1
      if let next = fixture.tracker.takeCheck() { asked.append(next) }
    }
    #expect(count == 256)
  }
}
