import Content
import Swarm
import Testing

/// Who sends slowly is named last, until what was measured of it is too old to mean anything.
@Suite struct SlowSourceTests {
  typealias Fixture = TrackerFixture

  private static let (slow, unmeasured, asker) = (1, 100, 101)

  /// A hundred that hold everything, too many to name all. The first was seen to send a hundredth of
  /// what the others send; the last was never measured.
  private func swarm() -> Fixture {
    var limits = TrackerLimits()
    // Nobody needs to speak while the measurements grow old.
    limits.interval = .seconds(600)...(.seconds(600))
    var fixture = Fixture(pieceCount: 4, limits: limits)
    let all = Holdings.whole(fixture.set(0..<4))
    for number in 1...100 { fixture.say(number, all) }
    fixture.say(Self.asker, deliveries: [delivery(of: Self.slow, byteCount: 10_000)])
    for number in 2..<100 { deliver(number, 1_000_000, to: &fixture) }
    return fixture
  }

  private func delivery(of number: Int, byteCount: Int) -> Delivery {
    Delivery(source: Fixture.peer(number), byteCount: byteCount, duration: .seconds(1))
  }

  private func deliver(_ number: Int, _ byteCount: Int, to fixture: inout Fixture) {
    let delivered = delivery(of: number, byteCount: byteCount)
    fixture.say(Self.asker, Fixture.nothing, deliveries: [delivered])
  }

  /// In how many of twenty answers to one that starves.
  private func timesNamed(_ number: Int, in fixture: inout Fixture) -> Int {
    (0..<20).count { _ in
      let answer = fixture.say(Self.asker, Fixture.nothing, starving: true)
      return answer?.sources.contains { $0.peer == Fixture.peer(number) } ?? false
    }
  }

  private func slowCount(_ fixture: Fixture) -> Int {
    fixture.tracker.peerStateCounts(now: fixture.now).slow
  }

  @Test func aSlowPeerIsNamedAgainOnceItsMeasurementIsOld() {
    var fixture = swarm()
    let term = fixture.tracker.limits.measurementTerm
    #expect(timesNamed(Self.slow, in: &fixture) == 0)
    #expect(timesNamed(Self.unmeasured, in: &fixture) > 0)
    fixture.pass(term - .seconds(1))
    #expect(timesNamed(Self.slow, in: &fixture) == 0)
    #expect(slowCount(fixture) == 1)
    fixture.pass(.seconds(1))
    #expect(timesNamed(Self.slow, in: &fixture) > 0)
    #expect(slowCount(fixture) == 0)
    deliver(Self.slow, 10_000, to: &fixture)
    #expect(timesNamed(Self.slow, in: &fixture) == 0)
    #expect(slowCount(fixture) == 1)
  }

  @Test func eachDeliveryMakesTheMeasurementNew() {
    var fixture = swarm()
    let term = fixture.tracker.limits.measurementTerm
    for _ in 0..<3 {
      fixture.pass(term - .seconds(1))
      deliver(Self.slow, 10_000, to: &fixture)
    }
    fixture.pass(term - .seconds(1))
    #expect(timesNamed(Self.slow, in: &fixture) == 0)
  }

  /// Within the term a new rate moves the mean by a quarter; after it nothing of the old is left.
  @Test func aMeasurementAfterTheTermBeginsAnew() {
    var fixture = swarm()
    deliver(Self.slow, 2_000_000, to: &fixture)
    #expect(rate(of: Self.slow, in: fixture) == 7_500 + 500_000)
    fixture.pass(fixture.tracker.limits.measurementTerm)
    deliver(Self.slow, 3_000_000, to: &fixture)
    #expect(rate(of: Self.slow, in: fixture) == 3_000_000)
  }

  private func rate(of number: Int, in fixture: Fixture) -> Int? {
    fixture.tracker.snapshot().mostUsedPeers.first { $0.peer == Fixture.peer(number) }?.byteRate
  }
}

/// What an operator is told of the peers that are kept back.
@Suite struct PeerStateCountTests {
  typealias Fixture = TrackerFixture

  private func counts(_ fixture: Fixture) -> [Int] {
    let counts = fixture.tracker.peerStateCounts(now: fixture.now)
    return [
      counts.away, counts.down, counts.suspended, counts.demoted, counts.slow, counts.busy,
    ]
  }

  private func complain(
    _ number: Int, _ kind: Complaint.Kind, in fixture: inout Fixture,
    checked outcome: SourceCheck.Outcome
  ) {
    let complaint = Complaint(source: Fixture.peer(number), kind: kind, piece: PieceIndex(0))
    fixture.say(9, Fixture.nothing, complaints: [complaint])
    while let check = fixture.tracker.takeCheck() {
      fixture.tracker.checked(check, outcome, now: fixture.now)
    }
  }

  private func deliver(_ number: Int, _ byteCount: Int, to fixture: inout Fixture) {
    let delivered = Delivery(
      source: Fixture.peer(number), byteCount: byteCount, duration: .seconds(1))
    fixture.say(9, Fixture.nothing, deliveries: [delivered])
  }

  @Test func eachStateIsCounted() {
    var fixture = Fixture(pieceCount: 4)
    for number in 1...9 { fixture.say(number, .whole(fixture.set(0..<4))) }
    #expect(counts(fixture) == [0, 0, 0, 0, 0, 0])
    let isKnown = fixture.tracker.connected(Fixture.peer(1), from: Fixture.address(1))
    #expect(isKnown)
    fixture.tracker.disconnected(Fixture.peer(1))
    #expect(counts(fixture) == [1, 0, 0, 0, 0, 0])
    complain(2, .corrupt, in: &fixture, checked: .unreachable)
    #expect(counts(fixture) == [1, 1, 0, 0, 0, 0])
    complain(3, .corrupt, in: &fixture, checked: .wrong)
    #expect(counts(fixture) == [1, 1, 1, 0, 0, 0])
    complain(4, .stalled, in: &fixture, checked: .right)
    #expect(counts(fixture) == [1, 1, 1, 1, 0, 0])
    deliver(5, 1_000, to: &fixture)
    deliver(6, 1_000_000, to: &fixture)
    #expect(counts(fixture) == [1, 1, 1, 1, 1, 0])
    fixture.say(7, Fixture.nothing, active: 4)
    #expect(counts(fixture) == [1, 1, 1, 1, 1, 1])
    fixture.say(1, Fixture.nothing)
    fixture.say(7, Fixture.nothing, active: 3)
    fixture.pass(fixture.tracker.limits.demotionTime)
    #expect(counts(fixture)[3] == 0)
    for number in 1...9 { fixture.say(number, leaving: true) }
    #expect(counts(fixture) == [0, 0, 0, 0, 0, 0])
  }
}
