import Content
import Swarm
import Testing

@Suite struct TrackerLeaseTests {
  typealias Fixture = TrackerFixture

  @Test func eachPieceGoesOutOnce() {
    var fixture = Fixture(pieceCount: 40)
    for number in 0..<4 { fixture.say(number) }
    var out: [Int] = []
    for round in 0..<40 {
      let number = round % 4
      let leases = fixture.say(number, Fixture.nothing, wanted: 40)?.leases ?? []
      let pieces = Fixture.pieces(leases)
      out += pieces
      let gained = leases.map(\.run)
      fixture.say(number, .changes(gained: gained, evicted: []))
    }
    #expect(out.sorted() == Array(0..<40))
    #expect(fixture.say(0, Fixture.nothing, wanted: 40)?.leases == [])
  }

  @Test func whatHasLeftTheOriginMakesRoomBeforeItsPeerTellsOfIt() {
    var limits = TrackerLimits()
    limits.leasedByteCountMin = 4 * Geometry.pieceByteCountMin
    var fixture = Fixture(pieceCount: 400, limits: limits)
    for number in 1...5 { fixture.say(number) }
    var leased: [Int] = []
    for number in 1...4 {
      leased += Fixture.pieces(fixture.say(number, Fixture.nothing, wanted: 400)?.leases ?? [])
    }
    #expect(leased == [0, 1, 2, 3])
    #expect(fixture.say(5, Fixture.nothing, wanted: 400)?.leases == [])
    fixture.tracker.originSent(
      PieceRun(PieceIndex(0)), of: Fixture.package, to: Fixture.peer(1),
      byteCount: Geometry.pieceByteCountMin, isComplete: true, now: fixture.now)
    #expect(Fixture.pieces(fixture.say(5, Fixture.nothing, wanted: 400)?.leases ?? []) == [4])
    // Its peer's word that it is there makes no room a second time.
    fixture.say(1, .changes(gained: [PieceRun(PieceIndex(0))], evicted: []))
    #expect(fixture.say(2, Fixture.nothing, wanted: 400)?.leases == [])
  }

  @Test func aLeaseOfASilentPeerMoves() {
    var limits = TrackerLimits()
    limits.leaseTerm = .seconds(2)...(.seconds(2))
    var fixture = Fixture(pieceCount: 4, limits: limits)
    let first = fixture.say(1, wanted: 4)!.leases
    #expect(Fixture.pieces(first) == [0, 1, 2, 3])
    fixture.say(2)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases == [])
    fixture.pass(.milliseconds(2_001))
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases.isEmpty == false)
  }

  @Test func aBrokenResponseReturnsItsRestAtOnce() {
    var fixture = Fixture(pieceCount: 4)
    let leases = fixture.say(1, wanted: 4)!.leases
    #expect(Fixture.pieces(leases) == [0, 1, 2, 3])
    fixture.say(2)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases == [])
    let rest = PieceRun(first: PieceIndex(1), count: 2)
    fixture.tracker.originSent(
      rest, of: Fixture.package, to: Fixture.peer(1), byteCount: 0,
      isComplete: false, now: fixture.now)
    var got: [Int] = []
    for _ in 0..<4 {
      let leases = fixture.say(2, Fixture.nothing, wanted: 4)!.leases
      got += Fixture.pieces(leases)
      fixture.say(2, .changes(gained: leases.map(\.run), evicted: []))
    }
    #expect(got == [1, 2])
  }

  @Test func aResponseThatStandsStillReturnsItsRestAndItsPeerComesLast() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(1, .whole(fixture.set(0..<1)))
    let leases = fixture.say(1, Fixture.nothing, wanted: 3)!.leases
    #expect(Fixture.pieces(leases) == [1, 2, 3])
    fixture.say(2, .whole(fixture.set(0..<1)))
    fixture.tracker.originStalled(
      leases[0].run, of: Fixture.package, to: Fixture.peer(1), now: fixture.now)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases.isEmpty == false)
    let sources = fixture.say(3)!.sources.map(\.peer)
    #expect(sources == [Fixture.peer(2), Fixture.peer(1), .origin])
  }

  @Test func aPeerWhoseLastConnectionEndsIsGoneUntilItSpeaks() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(1, .whole(fixture.set(0..<2)))
    let known = [9, 1, 1].map {
      fixture.tracker.connected(Fixture.peer($0), from: Fixture.address($0))
    }
    #expect(known == [false, true, true])
    // Another machine that uses its name counts for nothing.
    let borrowed = fixture.tracker.connected(Fixture.peer(1), from: Fixture.address(9))
    #expect(!borrowed)
    #expect(Fixture.pieces(fixture.say(1, Fixture.nothing, wanted: 2)!.leases) == [2, 3])
    fixture.say(2)
    fixture.tracker.disconnected(Fixture.peer(1))
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases == [])
    fixture.tracker.disconnected(Fixture.peer(1))
    #expect(!fixture.say(2, Fixture.nothing)!.sources.contains { $0.peer == Fixture.peer(1) })
    #expect(fixture.tracker.snapshot().packages[0].heldPieceCount == 0)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases.isEmpty == false)
    fixture.say(1, Fixture.nothing)
    #expect(fixture.tracker.snapshot().packages[0].heldPieceCount == 2)
    fixture.tracker.disconnected(Fixture.peer(1))
    #expect(fixture.tracker.snapshot().packages[0].heldPieceCount == 2)
  }

  @Test func aComplaintReturnsTheLeasesOfWhomTheOriginDoesNotHear() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(1, wanted: 4)
    fixture.say(2)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases == [])
    let dead = Complaint(source: Fixture.peer(1), kind: .dead, piece: PieceIndex(0))
    let answer = fixture.say(2, Fixture.nothing, wanted: 4, complaints: [dead])
    #expect(answer?.leases.isEmpty == false)
  }

  @Test func aLeaverReturnsItsLeasesAndItsPiecesAtOnce() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(1, .whole(fixture.set(0..<2)))
    let leases = fixture.say(1, Fixture.nothing, wanted: 2)!.leases
    #expect(Fixture.pieces(leases) == [2, 3])
    fixture.say(2)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases == [])
    fixture.say(1, leaving: true)
    var got: [Int] = []
    for _ in 0..<4 {
      let leases = fixture.say(2, Fixture.nothing, wanted: 4)!.leases
      got += Fixture.pieces(leases)
      fixture.say(2, .changes(gained: leases.map(\.run), evicted: []))
    }
    #expect(got == [2, 3, 0, 1] || got.sorted() == [0, 1, 2, 3])
  }

  @Test func aPeerThatMissesTwoAnnouncesIsDropped() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(1, .whole(fixture.set(0..<4)))
    #expect(fixture.tracker.snapshot().peerCount == 1)
    fixture.pass(.milliseconds(2_999))
    fixture.tracker.expire(now: fixture.now)
    #expect(fixture.tracker.snapshot().peerCount == 1)
    fixture.pass(.milliseconds(2))
    fixture.tracker.expire(now: fixture.now)
    #expect(fixture.tracker.snapshot().peerCount == 0)
    #expect(fixture.tracker.snapshot().packages[0].heldPieceCount == 0)
  }

  @Test func leasesOfAPeerThatServesNobodyDoNotCountAsOut() {
    var fixture = Fixture(pieceCount: 4)
    let plain = fixture.say(1, wanted: 4, port: 0)!.leases
    #expect(Fixture.pieces(plain) == [0, 1, 2, 3])
    var got: Set<Int> = []
    fixture.say(2)
    for _ in 0..<4 {
      let leases = fixture.say(2, Fixture.nothing, wanted: 4)!.leases
      got.formUnion(Fixture.pieces(leases))
      fixture.say(2, .changes(gained: leases.map(\.run), evicted: []))
    }
    #expect(got == [0, 1, 2, 3])
  }

  @Test func aPeerThatServesNobodyWaitsWhileOthersDoUnlessItStarves() {
    var fixture = Fixture(pieceCount: 8)
    fixture.say(1)
    fixture.say(2, port: 0)
    #expect(fixture.say(2, Fixture.nothing, wanted: 8, port: 0)?.leases == [])
    #expect(
      fixture.say(2, Fixture.nothing, wanted: 8, starving: true, port: 0)?.leases.isEmpty == false)
  }

  /// Whoever comes knows nobody yet; a crowd of newcomers would fill the origin's line for seconds.
  @Test func newcomersDoNotGetMoreThanTheOriginCanSendSoon() {
    var limits = TrackerLimits()
    limits.leasedByteCountMin = 4 * Geometry.pieceByteCountMin
    var fixture = Fixture(pieceCount: 64, limits: limits)
    var leasedCount = 0
    for number in 1...20 {
      let leases = fixture.say(number, wanted: 64, starving: true)!.leases
      leasedCount += Fixture.pieces(leases).count
    }
    #expect(leasedCount == 4)
    // One that was told of all and still has nothing to ask for is not left waiting.
    let again = fixture.say(20, Fixture.nothing, wanted: 64, starving: true)!.leases
    #expect(Fixture.pieces(again).count == 1)
  }

  /// What is leased and has left the origin keeps nobody waiting, whether it was verified yet or not.
  @Test func whoIsAloneGetsMoreWhenTheLastHasLeftTheOrigin() {
    var fixture = Fixture(pieceCount: 4_096)
    // Small files, a moment apart: the origin was never busy, and is seen to be slow.
    for _ in 0..<20 {
      fixture.tracker.originSent(
        PieceRun(PieceIndex(0)), of: Fixture.package, to: nil, byteCount: 1_000,
        isComplete: true, now: fixture.now)
      fixture.pass(.milliseconds(50))
    }
    var leases = fixture.say(1, wanted: 4_096)!.leases
    var counts = [Fixture.pieces(leases).count]
    for _ in 0..<8 {
      for lease in leases {
        fixture.tracker.originSent(
          lease.run, of: Fixture.package, to: Fixture.peer(1), byteCount: 0, isComplete: true,
          now: fixture.now)
      }
      let delivery = Delivery(source: .origin, byteCount: 1 << 20, duration: .milliseconds(1))
      leases = fixture.say(1, Fixture.nothing, wanted: 4_096, deliveries: [delivery])!.leases
      counts.append(Fixture.pieces(leases).count)
    }
    // As much as it had before, so that a crowd's first member does not take what others are for.
    #expect(counts == [4, 16, 20, 40, 80, 160, 320, 640, 1_024])
    // Then somebody else comes, and what the origin was seen to send counts again.
    fixture.say(2)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4_096)?.leases == [])
  }

  @Test func aStarvingPeerGetsWhatItsDeadSourceHeld() {
    var fixture = Fixture(pieceCount: 4)
    fixture.say(1, .whole(fixture.set(0..<4)))
    fixture.say(2)
    #expect(fixture.say(2, Fixture.nothing, wanted: 4)?.leases == [])
    let dead = Complaint(source: Fixture.peer(1), kind: .dead, piece: PieceIndex(0))
    let leases = fixture.say(
      2, Fixture.nothing, wanted: 4, starving: true, complaints: [dead])!.leases
    #expect(!leases.isEmpty)
  }

  @Test func starvingAloneCostsTheOriginLittle() {
    var fixture = Fixture(pieceCount: 1_000)
    fixture.say(1, .whole(fixture.set(0..<1_000)))
    fixture.say(2)
    var pieces: [Int] = []
    for _ in 0..<100 {
      let leases = fixture.say(2, Fixture.nothing, wanted: 1_000, starving: true)!.leases
      pieces += Fixture.pieces(leases)
      fixture.say(2, .changes(gained: leases.map(\.run), evicted: []))
    }
    #expect(pieces.count == 10)
  }

  @Test func anEvictedPieceIsFreshAgain() {
    var fixture = Fixture(pieceCount: 2)
    fixture.say(1, .whole(fixture.set(0..<2)))
    fixture.say(2)
    #expect(fixture.say(2, Fixture.nothing, wanted: 2)?.leases == [])
    fixture.say(1, .changes(gained: [], evicted: [PieceRun(PieceIndex(1))]))
    #expect(Fixture.pieces(fixture.say(2, Fixture.nothing, wanted: 2)!.leases) == [1])
  }

  @Test func aNewTrackerAsksForEverything() {
    var fixture = Fixture(pieceCount: 4)
    let answer = fixture.say(1, Fixture.nothing, wanted: 4)!
    #expect(answer.wantsWhole)
    #expect(answer.leases == [])
    #expect(fixture.say(1, .whole(fixture.set(0..<1)), wanted: 4)?.wantsWhole == false)
  }

  @Test func nonsenseIsLeftOut() {
    var fixture = Fixture(pieceCount: 4)
    let far = PieceRun(first: PieceIndex(3), count: 1_000_000)
    fixture.say(1)
    #expect(fixture.say(1, .changes(gained: [far], evicted: [far])) != nil)
    #expect(fixture.tracker.snapshot().packages[0].heldPieceCount == 0)
    let report = PackageReport(
      package: Fixture.package, pieceCount: 5, holdings: .whole(PieceSet(pieceCount: 5)))
    let announce = Announce(
      peer: Fixture.peer(1), port: 1, site: "", isLeaving: false,
      uploads: UploadLoad(active: 0, limit: 4, byteRate: 0), reports: [report])
    let referral = fixture.tracker.announce(
      announce, from: .loopback, now: fixture.now, rng: &fixture.rng)
    #expect(referral.packages == [])
  }

  @Test func runsAreShortInACrowdAndLongAlone() {
    let piece = Geometry.pieceByteCountMin
    let alone = RunLength.pieces(askerCount: 1, pieceByteCount: piece, byteRate: 125_000_000)
    let crowd = RunLength.pieces(askerCount: 20, pieceByteCount: piece, byteRate: 125_000_000)
    let slow = RunLength.pieces(askerCount: 20, pieceByteCount: piece, byteRate: 600_000)
    #expect(alone == 256)
    #expect(crowd == 2)
    #expect(slow == 1)
    #expect(RunLength.pieces(askerCount: 1, pieceByteCount: 1 << 30, byteRate: 0) == 1)
  }
}
