import Content
import Swarm
import Testing

/// One copy crosses into each site.
@Suite struct SiteTests {
  typealias Fixture = TrackerFixture

  /// Three of each of two sites; the first of the yard holds everything.
  private func twoSites() -> Fixture {
    var fixture = Fixture(pieceCount: 64)
    fixture.say(1, .whole(fixture.set(0..<64)), site: "yard")
    for number in 2..<4 { fixture.say(number, site: "yard") }
    for number in 4..<7 { fixture.say(number, site: "hall") }
    return fixture
  }

  private func crossings(_ answer: PackageReferral?) -> [Int] {
    (answer?.crossings ?? []).flatMap { Array($0.run.indices) }
  }

  @Test func eachPieceCrossesOnceIntoASite() {
    var fixture = twoSites()
    var brought: [Int] = []
    for round in 0..<200 {
      let number = 4 + round % 3
      let answer = fixture.say(number, Fixture.nothing, wanted: 64, site: "hall")!
      #expect(answer.staysNear)
      #expect(answer.leases == [])
      brought += crossings(answer)
      fixture.say(
        number, .changes(gained: answer.crossings.map(\.run), evicted: []), site: "hall")
    }
    #expect(brought.sorted() == Array(0..<64))
    // In the yard everything is near.
    #expect(crossings(fixture.say(2, Fixture.nothing, wanted: 64, site: "yard")) == [])
  }

  @Test func whoBringsSomethingIsToldWhoHasIt() {
    var fixture = twoSites()
    for _ in 0..<2 {
      // Again with each answer until it is there.
      let answer = fixture.say(4, Fixture.nothing, wanted: 64, site: "hall")!
      let named = answer.promises.filter { $0.expected == .zero }
      #expect(named.allSatisfy { $0.holder == Fixture.peer(1) })
      #expect(named.flatMap { Array($0.run.indices) } == [0, 1, 2, 3])
      #expect(answer.sources.contains { $0.peer == Fixture.peer(1) && !$0.isNear })
    }
    let last = fixture.say(
      4, .changes(gained: [PieceRun(first: PieceIndex(0), count: 4)], evicted: []), site: "hall")!
    #expect(last.promises == [])
  }

  @Test func aCrossingThatNobodyHasAsAWholeIsNamedPieceByPiece() {
    var fixture = Fixture(pieceCount: 2)
    fixture.say(1, .whole(fixture.set(0..<1)), site: "yard")
    fixture.say(2, .whole(fixture.set(1..<2)), site: "yard")
    for number in 3..<5 { fixture.say(number, site: "hall") }
    let answers = (3..<5).map { fixture.say($0, Fixture.nothing, wanted: 2, site: "hall")! }
    for answer in answers {
      for promise in answer.promises where promise.expected == .zero {
        #expect(promise.holder == Fixture.peer(promise.run.first.rawValue + 1))
      }
    }
    #expect(Set(answers.flatMap(\.promises).map(\.run.first.rawValue)) == [0, 1])
  }

  @Test func whatTheOriginSendsIntoASiteCountsAsCrossing() {
    var fixture = Fixture(pieceCount: 8)
    for number in 1..<3 { fixture.say(number, site: "yard") }
    for number in 3..<5 { fixture.say(number, site: "hall") }
    var fresh: [Int] = []
    for _ in 0..<8 {
      let answer = fixture.say(1, Fixture.nothing, wanted: 8, site: "yard")!
      fresh += Fixture.pieces(answer.leases)
      fixture.say(1, .changes(gained: answer.leases.map(\.run), evicted: []), site: "yard")
    }
    #expect(fresh == Array(0..<8))
    #expect(crossings(fixture.say(2, Fixture.nothing, wanted: 8, site: "yard")) == [])
    #expect(!crossings(fixture.say(3, Fixture.nothing, wanted: 8, site: "hall")).isEmpty)
  }

  @Test func aCrossingOfWhoeverLeavesGoesToTheNext() {
    var fixture = twoSites()
    let first = crossings(fixture.say(4, Fixture.nothing, wanted: 64, site: "hall"))
    #expect(!first.isEmpty)
    #expect(
      Set(crossings(fixture.say(5, Fixture.nothing, wanted: 64, site: "hall")))
        .isDisjoint(with: first))
    fixture.say(4, leaving: true)
    var brought: Set<Int> = []
    for round in 0..<100 {
      let number = 5 + round % 2
      let answer = fixture.say(number, Fixture.nothing, wanted: 64, site: "hall")!
      brought.formUnion(crossings(answer))
      fixture.say(
        number, .changes(gained: answer.crossings.map(\.run), evicted: []), site: "hall")
    }
    #expect(brought.isSuperset(of: first))
  }

  @Test func aSilentOneLosesItsCrossingInTime() {
    var limits = TrackerLimits()
    limits.missedIntervalCountMax = 100
    limits.crossingTerm = .seconds(3)
    var fixture = Fixture(pieceCount: 2, limits: limits)
    fixture.say(1, .whole(fixture.set(0..<2)), site: "yard")
    for number in 2..<4 { fixture.say(number, site: "hall") }
    let first = crossings(fixture.say(2, Fixture.nothing, wanted: 2, site: "hall"))
    #expect(first.count == 1)
    let second = crossings(fixture.say(3, Fixture.nothing, wanted: 2, site: "hall"))
    #expect(second.count == 1 && second != first)
    fixture.pass(.milliseconds(3_001))
    fixture.say(3, .changes(gained: [PieceRun(PieceIndex(second[0]))], evicted: []), site: "hall")
    #expect(crossings(fixture.say(3, Fixture.nothing, wanted: 2, site: "hall")) == first)
  }

  @Test func oneSiteOrOnlySinglesAreAsEver() {
    var fixture = Fixture(pieceCount: 8)
    for number in 1..<6 {
      let answer = fixture.say(number, wanted: 8, site: "yard")!
      #expect(!answer.staysNear && answer.crossings == [])
    }
    fixture = Fixture(pieceCount: 8)
    for number in 1..<40 {
      let answer = fixture.say(number, wanted: 8, site: "place \(number)")!
      #expect(!answer.staysNear && answer.crossings == [])
    }
  }

  @Test func oneAloneInItsSiteFetchesFreely() {
    var fixture = twoSites()
    #expect(fixture.say(9, site: "shed")?.staysNear == false)
    #expect(fixture.say(4, Fixture.nothing, site: "hall")?.staysNear == true)
  }

  @Test func whoMovesCountsAtItsNewSite() {
    var fixture = twoSites()
    fixture.say(1, Fixture.nothing, site: "hall")
    // The hall has everything now, and the yard nothing.
    #expect(crossings(fixture.say(4, Fixture.nothing, wanted: 64, site: "hall")) == [])
    #expect(!crossings(fixture.say(2, Fixture.nothing, wanted: 64, site: "yard")).isEmpty)
  }

  @Test func theSameSiteComesFirstThenTheSameRegion() {
    var fixture = Fixture(pieceCount: 4)
    let all = Holdings.whole(fixture.set(0..<4))
    for (number, site) in [
      (2, "east/one"), (3, "west/one"), (4, "west/two"), (5, "north"), (6, "west/two"),
    ] {
      fixture.say(number, all, site: site)
    }
    let peers = fixture.say(1, site: "west/two")!.sources.map(\.peer)
    #expect(Set(peers.prefix(2)) == [Fixture.peer(4), Fixture.peer(6)])
    #expect(peers[2] == Fixture.peer(3))
    #expect(
      fixture.say(1, Fixture.nothing, site: "west/two")!.sources.map(\.isNear)
        == [true, true, false, false, false, false])
  }

  /// A run of random peers, sites, leavers and evictions: the books agree with a fresh count.
  @Test(arguments: UInt64(1)...6) func theBooksAgree(seed: UInt64) {
    var rng = SeededGenerator(seed: seed)
    var fixture = Fixture(pieceCount: 24)
    var held: [Int: PieceSet] = [:]
    for _ in 0..<600 {
      let number = Int.random(in: 1..<12, using: &rng)
      let site = ["a", "b", "c"][(number + Int.random(in: 0..<20, using: &rng) / 19) % 3]
      var own = held[number] ?? fixture.set(0..<0)
      switch Int.random(in: 0..<12, using: &rng) {
      case 0:
        fixture.say(number, leaving: true)
        held[number] = nil
        continue
      case 1:
        if let piece = own.first(from: 0) { own.remove(piece) }
        fixture.tracker.disconnected(Fixture.peer(number))
      default: break
      }
      let answer = fixture.say(number, .whole(own), wanted: 24, site: site)!
      for lease in answer.leases + answer.crossings where Bool.random(using: &rng) {
        own.insert(lease.run)
      }
      held[number] = own
      fixture.say(number, .whole(own), site: site)
      _ = fixture.tracker.connected(Fixture.peer(number), from: Fixture.address(number))
      fixture.pass(.milliseconds(Int64.random(in: 0..<200, using: &rng)))
      var union = fixture.set(0..<0)
      let alive = fixture.tracker.snapshot()
      guard alive.peerCount == held.count else {
        // The silent were dropped: so they are here.
        held = [number: own]
        fixture = Fixture(pieceCount: 24)
        fixture.say(number, .whole(own), site: site)
        continue
      }
      for set in held.values { union.formUnion(set) }
      #expect(fixture.tracker.snapshot().packages[0].heldPieceCount == union.count)
      #expect(fixture.tracker.snapshot().packages[0].siteCount <= 3)
    }
  }

  @Test func whoStaysNearIsToldOfFewPromises() {
    for (site, isFew) in [("hall", true), ("yard", false)] {
      var limits = TrackerLimits()
      limits.leasedByteCountMin = 4 << 20
      var fixture = Fixture(pieceCount: 4_096, limits: limits)
      for number in 1...60 { fixture.say(number, site: number > 30 ? site : "yard") }
      for number in 1...30 { fixture.say(number, Fixture.nothing, wanted: 2, site: "yard") }
      let answer = fixture.say(60, Fixture.nothing, site: site)!
      #expect(answer.staysNear == isFew)
      #expect(isFew ? answer.promises.count == 16 : answer.promises.count > 16)
    }
  }
}
