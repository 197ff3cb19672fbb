import Content
import Swarm
import Testing

@Suite struct ServicePolicyTests {
  typealias Fixture = TrackerFixture

  @Test func thePeriodGrowsForSlowLinesOnly() {
    func period(_ byteCount: Int, _ rate: Int) -> Duration {
      ServicePolicy.period(byteCount: byteCount, lineByteRate: rate, base: .milliseconds(500))
    }
    #expect(period(65_536, 0) == .milliseconds(500))
    #expect(period(65_536, 125_000_000) == .milliseconds(500))
    #expect(period(65_536, 65_536) == .seconds(2))
    #expect(period(1 << 40, 1) == .seconds(8))
  }

  @Test func helpIsForThoseWhoWouldWait() {
    func helps(_ missing: Int, _ peers: Int, _ origin: Int) -> Bool {
      ServicePolicy.helps(
        missingByteCount: missing, peerByteRate: peers, originByteRate: origin,
        period: .milliseconds(500))
    }
    #expect(helps(16 << 20, 2_000_000, 100_000_000))
    // Tried when it is not known.
    #expect(helps(16 << 20, 2_000_000, 0))
    // Nearly done; nothing measured; the origin no faster.
    #expect(!helps(1 << 19, 2_000_000, 100_000_000))
    #expect(!helps(16 << 20, 0, 100_000_000))
    #expect(!helps(16 << 20, 2_000_000, 3_000_000))
    #expect(!helps(0, 1, 0))
  }

  @Test func roomIsTimeAtTheOriginsRate() {
    let mebi = 1 << 20
    var room = OriginRoom(byteRate: 10 * mebi, queuedByteCount: 19 * mebi, activeCount: 19)
    #expect(room.answer(byteCount: mebi) == .serve)
    room.queuedByteCount = 20 * mebi
    #expect(room.answer(byteCount: 1 << 40) == .full(retryAfter: .milliseconds(100)))
    #expect(room.answer(byteCount: 0) == .serve)
    // A client alone is served, however slow the line.
    room = OriginRoom(byteRate: 1, queuedByteCount: 0, activeCount: 0)
    #expect(room.answer(byteCount: 1 << 40) == .serve)
  }

  @Test func withoutALimitThereIsRoomUntilTheLoopLags() {
    var room = OriginRoom(byteRate: nil, queuedByteCount: 1 << 50, activeCount: 100_000)
    #expect(room.answer(byteCount: 1 << 50) == .serve)
    room.isLagging = true
    #expect(room.answer(byteCount: 1) == .full(retryAfter: .seconds(1)))
    room.isLagging = false
    room.activeCountMax = 100_000
    #expect(room.answer(byteCount: 1) == .full(retryAfter: .seconds(1)))
  }

  @Test func sendersTakeTurnsAtTheRate() {
    var schedule = SendSchedule(byteRate: 1_000_000)
    let now = Instant.zero + .seconds(1)
    #expect(schedule.reserve(byteCount: 10_000, now: now) == .zero)
    #expect(schedule.reserve(byteCount: 10_000, now: now) == .milliseconds(10))
    #expect(schedule.reserve(byteCount: 10_000, now: now) == .milliseconds(20))
    // A pause earns a fiftieth of a second, not more.
    let later = now + .seconds(60)
    var sent = 0
    while schedule.reserve(byteCount: 1_000, now: later) == .zero { sent += 1_000 }
    #expect(sent == 21_000)
  }

  // MARK: Slow holders

  /// Somebody who gets half of what is needed from a slow peer.
  private func lateAsker(copies: Double? = nil) -> Fixture {
    var limits = TrackerLimits()
    limits.originCopiesMax = copies
    var fixture = Fixture(pieceCount: 64, limits: limits)
    fixture.say(1, .whole(fixture.set(0..<64)))
    fixture.say(2)
    return fixture
  }

  @Test func aLateAskerWithASlowSeedIsHelped() {
    var fixture = lateAsker()
    #expect(fixture.say(2, Fixture.nothing, wanted: 64)?.leases == [])
    #expect(fixture.say(2, Fixture.nothing, wanted: 64, peerByteRate: 50_000_000)?.leases == [])
    var got: [Int] = []
    for _ in 0..<40 {
      let leases = fixture.say(2, Fixture.nothing, wanted: 64, peerByteRate: 100_000)!.leases
      got += Fixture.pieces(leases)
      fixture.say(2, .changes(gained: leases.map(\.run), evicted: []))
    }
    // To the end, but for what its peers send within the target period.
    #expect(got == Array(0..<64))
  }

  @Test func severalLateAskersGetEachPieceOnce() {
    var fixture = lateAsker()
    fixture.say(3)
    var got: [Int] = []
    for round in 0..<80 {
      let number = 2 + round % 2
      let leases = fixture.say(number, Fixture.nothing, wanted: 64, peerByteRate: 1)!.leases
      got += Fixture.pieces(leases)
      fixture.say(number, .changes(gained: leases.map(\.run), evicted: []))
      if Set(got).count == 64 { break }
    }
    #expect(got.sorted() == Array(0..<64))
  }

  @Test func aCrowdIsLeftToItself() {
    var fixture = Fixture(pieceCount: 1_000)
    fixture.say(1, .whole(fixture.set(0..<1_000)))
    for number in 2..<22 { fixture.say(number) }
    var count = 0
    for round in 0..<200 {
      let number = 2 + round % 20
      let leases = fixture.say(number, Fixture.nothing, wanted: 1_000, peerByteRate: 1_000)!.leases
      count += Fixture.pieces(leases).count
    }
    #expect(count == 10)
  }

  // MARK: The budget

  /// The origin sends every lease, each asker starves and complains, and asks without leases too.
  @Test(arguments: [1.0, 1.25, 2.0]) func theBudgetIsKept(copies: Double) {
    var fixture = lateAsker(copies: copies)
    fixture.say(1, .whole(fixture.set(0..<64)))
    let size = 64 * Geometry.pieceByteCountMin
    var sent = 0
    func fetch(_ run: PieceRun, _ number: Int, _ fixture: inout Fixture) -> Bool {
      let byteCount = run.count * Geometry.pieceByteCountMin
      guard
        fixture.tracker.originStarts(
          run, of: Fixture.package, to: Fixture.peer(number), byteCount: byteCount,
          now: fixture.now)
      else { return false }
      fixture.tracker.originSent(
        run, of: Fixture.package, to: Fixture.peer(number), byteCount: byteCount,
        isComplete: true, now: fixture.now)
      sent += byteCount
      return true
    }
    for round in 0..<400 {
      let number = 2 + round % 7
      let answer = fixture.say(
        number, round < 7 ? nil : Fixture.nothing, wanted: 64, starving: round % 3 == 0,
        peerByteRate: 1)!
      for lease in answer.leases {
        let isGranted = fetch(lease.run, number, &fixture)
        #expect(isGranted)
        // A lease is for one fetch.
        _ = fetch(lease.run, number, &fixture)
        fixture.say(number, .changes(gained: [lease.run], evicted: []))
      }
      _ = fetch(PieceRun(PieceIndex(round % 64)), number, &fixture)
      fixture.pass(.milliseconds(50))
      fixture.say(1, Fixture.nothing)
      #expect(Double(sent) <= copies * Double(size))
    }
    #expect(Double(sent) > (copies - 0.1) * Double(size))
  }

  @Test func whatNobodyHoldsMayAlwaysBeSent() {
    var fixture = lateAsker(copies: 1)
    let run = PieceRun(first: PieceIndex(0), count: 64)
    let byteCount = 64 * Geometry.pieceByteCountMin
    func starts() -> Bool {
      fixture.tracker.originStarts(
        run, of: Fixture.package, to: Fixture.peer(2), byteCount: byteCount, now: fixture.now)
    }
    #expect(starts())
    #expect(!starts())
    fixture.say(1, leaving: true)
    #expect(starts())
    fixture.say(1, .whole(fixture.set(0..<64)))
    #expect(!starts())
  }

  @Test func whatDidNotLeaveIsGivenBackToTheBudget() {
    var fixture = lateAsker(copies: 1)
    let run = PieceRun(first: PieceIndex(0), count: 64)
    let byteCount = 64 * Geometry.pieceByteCountMin
    for _ in 0..<10 {
      let starts = fixture.tracker.originStarts(
        run, of: Fixture.package, to: Fixture.peer(2), byteCount: byteCount, now: fixture.now)
      #expect(starts)
      fixture.tracker.originSent(
        run, of: Fixture.package, to: Fixture.peer(2), byteCount: 0, unsentByteCount: byteCount,
        isComplete: false, now: fixture.now)
    }
    #expect(fixture.tracker.snapshot().packages[0].swarmByteCount == 0)
  }

  // MARK: Where plain clients are sent

  @Test func aPlainClientIsSentToAWholeAndCleanPeer() {
    var fixture = Fixture(pieceCount: 4)
    func target() -> Endpoint? {
      var rng = SeededGenerator(seed: 1)
      return fixture.tracker.redirectTarget(
        of: Fixture.package, for: Fixture.address(200), now: fixture.now, rng: &rng)
    }
    let all = Holdings.whole(fixture.set(0..<4))
    fixture.say(1, .whole(fixture.set(0..<3)))
    #expect(target() == nil)
    fixture.say(2, all, active: 4)
    #expect(target() == nil)
    fixture.say(2, all)
    #expect(target() == Endpoint(address: Fixture.address(2), port: 4_000))
    for number in 3..<9 { fixture.say(number) }
    // One who accuses everybody is not believed, but then there is a stain.
    let corrupt = (2..<9).map {
      Complaint(source: Fixture.peer($0), kind: .corrupt, piece: PieceIndex(0))
    }
    fixture.say(10, complaints: corrupt)
    #expect(target() == nil)
  }

  @Test func theMostUsedAreListed() {
    var fixture = Fixture(pieceCount: 4)
    for number in 2..<20 { fixture.say(number, .whole(fixture.set(0..<4))) }
    for number in 2..<20 {
      let served = Delivery(
        source: Fixture.peer(number), byteCount: 1_000 * (number % 10 + 1), duration: .seconds(1))
      fixture.say(1, number == 2 ? nil : Fixture.nothing, deliveries: [served])
    }
    let snapshot = fixture.tracker.snapshot()
    #expect(
      snapshot.mostUsedPeers.map(\.servedByteCount).prefix(3) == [10_000, 10_000, 9_000][...])
    #expect(snapshot.mostUsedPeers.count == 10)
    #expect(snapshot.mostUsedPackages(countMax: 5).map(\.package) == [Fixture.package])
    #expect(snapshot.peerByteCount == snapshot.packages[0].peerByteCount)
  }
}
