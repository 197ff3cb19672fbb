import Content
import Swarm
import Testing

@Suite struct DownloadTests {
  typealias Fixture = DownloadFixture

  @Test func itStartsByTellingEverythingAndAskingForALease() {
    var fixture = Fixture(pieceCount: 8, held: [3])
    fixture.tell(.started)
    #expect(fixture.announces.map(\.holdings) == [.whole(fixture.download.held)])
    #expect(fixture.announces.map(\.wantedPieceCount) == [7])
    fixture.refer(leases: [Fixture.run(0, 2)])
    #expect(fixture.fetches.map(\.run) == [Fixture.run(0, 2)])
    #expect(fixture.fetches.map(\.source) == [.origin])
    #expect(fixture.effects.contains(.promise([Fixture.run(0, 2)])))
  }

  @Test func aloneItCompletesFromLeases() {
    var fixture = Fixture(pieceCount: 4)
    fixture.tell(.started)
    var next = 0
    while next < 4 {
      fixture.refer(leases: [Fixture.run(next, 2)])
      let fetch = fixture.fetches[0]
      fixture.deliver(fetch)
      next += 2
    }
    #expect(fixture.download.isComplete)
    #expect(fixture.effects.contains(.completed))
    // The tracker hears of it at once.
    #expect(
      fixture.announces.last?.holdings
        == .changes(gained: [Fixture.run(2, 2)], evicted: []) || !fixture.announces.isEmpty)
  }

  @Test func theNextLeaseIsAskedForBeforeTheLastOneEnds() {
    var fixture = Fixture(pieceCount: 64)
    fixture.tell(.started)
    fixture.refer(leases: [Fixture.run(0, 8)])
    let fetch = fixture.fetches[0]
    #expect(fixture.announces == [])
    for piece in 0..<3 { fixture.tell(.arrived(PieceIndex(piece), fetch.id)) }
    #expect(fixture.announces == [])
    fixture.tell(.arrived(PieceIndex(3), fetch.id))
    #expect(fixture.announces.count == 1)
  }

  @Test func aReaderComesBeforeRarity() {
    var limits = DownloadLimits()
    limits.sourceCounts = 1...1
    limits.requestsPerSourceMax = 1
    limits.wantedSpread = 1
    limits.runByteCountMax = 1
    var fixture = Fixture(pieceCount: 200, limits: limits)
    fixture.tell(.wanted([Fixture.run(150, 10)]))
    fixture.follow([1: Array(0..<200)])
    #expect(fixture.fetches.map(\.run) == [Fixture.run(150)])
  }

  @Test func noMoreSourcesAndRequestsThanAllowed() {
    var fixture = Fixture(pieceCount: 400)
    let sources = fixture.download.limits.sourceCounts.lowerBound + 2
    fixture.follow(
      Dictionary(uniqueKeysWithValues: (1...sources).map { ($0, Array(0..<400)) }))
    var outstanding: [PeerID: Int] = [:]
    for fetch in fixture.fetches { outstanding[fetch.source, default: 0] += 1 }
    #expect(outstanding.count == sources - 2)
    #expect(outstanding.values.allSatisfy { $0 <= 2 })
    let pieces = fixture.fetches.flatMap { Array($0.run.indices) }
    #expect(Set(pieces).count == pieces.count)
  }

  @Test func aBusySourceIsLeftAloneForAWhile() {
    var fixture = Fixture(pieceCount: 1)
    fixture.follow([1: [0]])
    let fetch = fixture.fetches[0]
    fixture.tell(.finished(fetch.id, .busy(retryAfter: .milliseconds(100))))
    #expect(fixture.fetches == [])
    fixture.tell(.ticked, after: .milliseconds(49))
    #expect(fixture.fetches == [])
    fixture.tell(.ticked, after: .milliseconds(102))
    #expect(fixture.fetches.map(\.source) == [Fixture.peer(1)])
  }

  @Test func aStalledSourceIsLeftWithinTwoSeconds() {
    var fixture = Fixture(pieceCount: 1)
    fixture.follow([1: [0], 2: [0]])
    let fetch = fixture.fetches[0]
    fixture.tell(.progressed(fetch.id, byteCount: 100), after: .milliseconds(100))
    fixture.tell(.ticked, after: .milliseconds(1_499))
    #expect(!fixture.cancels.contains(fetch.id))
    fixture.tell(.ticked, after: .milliseconds(1))
    #expect(fixture.cancels.contains(fetch.id))
    #expect(!fixture.download.followed.contains(fetch.source))
  }

  @Test func aCorrupterIsBannedAndReportedAtOnce() {
    var fixture = Fixture(pieceCount: 2)
    fixture.follow([1: [0, 1]])
    let fetch = fixture.fetches[0]
    fixture.refer(sources: [1])
    fixture.tell(.arrived(fetch.run.first, fetch.id))
    fixture.tell(.rejected(fetch.run.first, fetch.id, culprit: fetch.source))
    let complaint = Complaint(source: fetch.source, kind: .corrupt, piece: fetch.run.first)
    #expect(fixture.announces.map(\.complaints) == [[complaint]])
    #expect(fixture.effects.contains(.unfollow(fetch.source)))
    #expect(fixture.download.statistics.map(\.rejectedPieceCount) == [1])
    fixture.refer(sources: [1])
    #expect(!fixture.effects.contains { if case .follow = $0 { true } else { false } })
  }

  @Test func aDeadSourceIsDroppedAndItsPiecesComeFromAnother() {
    var fixture = Fixture(pieceCount: 1)
    fixture.follow([1: [0], 2: [0]])
    let fetch = fixture.fetches[0]
    fixture.tell(.finished(fetch.id, .failed))
    #expect(fixture.fetches.count == 1)
    #expect(fixture.fetches[0].source != fetch.source)
    #expect(fixture.fetches[0].run == fetch.run)
  }

  @Test func aSilentTrackerIsRetriedWithBackOffAndNeighboursGoOn() {
    var fixture = Fixture(pieceCount: 400)
    fixture.follow([1: Array(0..<200)])
    let fetch = fixture.fetches[0]
    fixture.tell(.ticked, after: .seconds(1))
    #expect(fixture.announces.count <= 1)
    fixture.tell(.trackerFailed)
    #expect(fixture.announces == [])
    fixture.deliver(fetch)
    #expect(!fixture.fetches.isEmpty)
    #expect(fixture.announces == [])
    fixture.tell(.ticked, after: .milliseconds(251))
    #expect(fixture.announces.count == 1)
  }

  @Test func aRestartedTrackerIsToldEverything() {
    var fixture = Fixture(pieceCount: 8, held: [0])
    fixture.tell(.started)
    fixture.refer(wantsWhole: true)
    #expect(fixture.announces.map(\.holdings) == [.whole(fixture.download.held)])
  }

  @Test func withNothingAnywhereTheOriginIsAskedWithoutALease() {
    var fixture = Fixture(pieceCount: 8)
    fixture.tell(.started)
    fixture.tell(.trackerFailed)
    var unleased: [Fixture.Fetch] = []
    for _ in 0..<40 {
      fixture.tell(.ticked, after: .milliseconds(100))
      unleased += fixture.fetches
      if !fixture.announces.isEmpty { fixture.tell(.trackerFailed) }
      unleased += fixture.fetches
    }
    #expect(unleased.first?.source == .origin)
  }

  @Test func promisesAreWaitedFor() {
    var fixture = Fixture(pieceCount: 1)
    fixture.tell(.started)
    let promise = Promise(
      holder: Fixture.peer(9), run: Fixture.run(0), expected: .seconds(2))
    fixture.refer(promises: [promise])
    fixture.tell(.ticked, after: .milliseconds(300))
    #expect(fixture.announces.allSatisfy { !$0.isStarving })
    #expect(fixture.fetches == [])
  }

  @Test func itGivesUpOnlyAfterItsPatience() {
    var fixture = Fixture(pieceCount: 1)
    fixture.tell(.started)
    var reasons: [Download.GiveUpReason] = []
    var seconds = 0
    while reasons.isEmpty, seconds < 200 {
      seconds += 1
      fixture.tell(.ticked, after: .seconds(1))
      for effect in fixture.effects {
        switch effect {
        case .announce: fixture.tell(.trackerFailed)
        case .fetch(let id, _, _): fixture.tell(.finished(id, .failed))
        case .gaveUp(let reason): reasons.append(reason)
        default: break
        }
      }
    }
    #expect(reasons == [.nobodyHasIt])
    #expect(seconds >= 60)
  }

  @Test func strayEventsAreIgnored() {
    var fixture = Fixture(pieceCount: 4)
    fixture.follow([1: [0]])
    let stranger = Fixture.peer(77)
    fixture.tell(.gained(stranger, [Fixture.run(0, 4)]))
    fixture.tell(.gained(Fixture.peer(1), [Fixture.run(3, 9_999)]))
    fixture.tell(.finished(RequestID(999), .failed))
    fixture.tell(.arrived(PieceIndex(9_999), RequestID(1)))
    fixture.tell(.verified(PieceIndex(9_999), RequestID(1)))
    fixture.tell(.rejected(PieceIndex(9_999), RequestID(1), culprit: stranger))
    fixture.tell(.evicted(Fixture.run(2, 9_999)))
    #expect(fixture.download.held.isEmpty)
  }

  @Test func whileTheOriginSendsFreshPiecesFewerNeighboursAreAsked() {
    for (leased, silence, askedMax) in [(16, 1, 2), (16, 400, 6), (1, 1, 6)] {
      var limits = DownloadLimits()
      limits.hedgeUnderWayMax = 0
      var fixture = Fixture(pieceCount: 256, limits: limits)
      fixture.tell(.started)
      fixture.refer(leases: [Fixture.run(0, leased)], sources: Array(1...8))
      let lease = fixture.fetches[0]
      #expect(lease.source == .origin)
      fixture.tell(.progressed(lease.id, byteCount: 100_000), after: .milliseconds(50))
      fixture.tell(.progressed(lease.id, byteCount: 100_000), after: .milliseconds(50))
      fixture.tell(.ticked, after: .milliseconds(silence))
      let set = PieceSet.full(pieceCount: 256)
      var asked: Set<PeerID> = []
      for number in 1...8 {
        fixture.tell(.heldBy(Fixture.peer(number), set))
        asked.formUnion(fixture.fetches.map(\.source))
      }
      #expect(asked.count == askedMax)
    }
  }
}

@Suite struct FrozenSourceTests {
  @Test func whenAllSourcesFreezeTheOriginIsAskedWithinTwoSeconds() {
    var fixture = DownloadFixture(pieceCount: 64)
    fixture.follow([1: Array(0..<64), 2: Array(0..<64)])
    fixture.refer(sources: [1, 2])
    let frozen = fixture.now
    var accused: Set<PeerID> = []
    var isFree: Instant?
    while isFree == nil, fixture.now - frozen < .seconds(4) {
      fixture.tell(.ticked, after: .milliseconds(10))
      for report in fixture.announces {
        accused.formUnion(report.complaints.map(\.source))
        if report.isStarving, report.wantedPieceCount == 64 { isFree = fixture.now }
      }
      if isFree == nil, !fixture.announces.isEmpty { fixture.refer(sources: [1, 2]) }
    }
    #expect(accused == [DownloadFixture.peer(1), DownloadFixture.peer(2)])
    #expect((isFree ?? fixture.now) - frozen <= .seconds(2))
    fixture.refer(leases: [DownloadFixture.run(0, 4)])
    #expect(fixture.fetches.map(\.source) == [.origin])
  }
}

@Suite struct TrackerSilenceTests {
  /// The longest of the pauses between announces that all fail.
  private func longestPause(_ fixture: inout DownloadFixture) -> Duration {
    var longest = Duration.zero
    for _ in 0..<12 {
      let start = fixture.now
      fixture.tell(.trackerFailed)
      while fixture.announces.isEmpty { fixture.tell(.ticked, after: .milliseconds(10)) }
      longest = max(longest, fixture.now - start)
    }
    return longest
  }

  @Test func aRunningDownloadAsksASilentTrackerOften() {
    var fixture = DownloadFixture(pieceCount: 8)
    fixture.tell(.started)
    let longest = longestPause(&fixture)
    #expect(longest <= .milliseconds(1_510) && longest > .milliseconds(750))
  }

  @Test func whoOnlyServesAsksAsOftenAsItWasToldTo() {
    for (interval, pauses) in [(1, 0.75...1.51), (20, 10.0...20.1)] {
      var fixture = DownloadFixture(pieceCount: 8, held: Array(0..<8))
      fixture.tell(.started)
      let referral = PackageReferral(package: DownloadFixture.package, pieceCount: 8)
      fixture.tell(.referred(referral, interval: .seconds(interval)))
      while fixture.announces.isEmpty { fixture.tell(.ticked, after: .milliseconds(100)) }
      let longest = longestPause(&fixture)
      #expect(pauses.contains(longest.seconds), "\(longest)")
    }
  }
}
