import Content
import Swarm
import Testing

/// Announces that are taken in one go are answered as if each had come alone.
@Suite struct SeveralAnnouncesTests {
  private static let pieceCounts = [1, 70, 200]
  private static let peerCount = 60

  private static func id(_ package: Int) -> PackageID {
    PackageID(root: SHA256Digest(words: (0, 0, 0, UInt64(package + 1))))
  }

  private static func tracker() -> Tracker {
    var limits = TrackerLimits()
    limits.peerCountMax = peerCount - 5
    limits.smallPackageByteCountMax = 0
    var tracker = Tracker(limits: limits)
    for (package, pieceCount) in pieceCounts.enumerated() {
      tracker.register(id(package), Geometry(byteCount: pieceCount * Geometry.pieceByteCountMin)!)
    }
    return tracker
  }

  /// Also of a package that nobody knows, and with a piece count that is wrong.
  private static func report(_ package: Int, _ rng: inout SeededGenerator) -> PackageReport {
    let known = package < pieceCounts.count ? pieceCounts[package] : 9
    let pieceCount = Int.random(in: 0..<20, using: &rng) == 0 ? known + 1 : known
    let first = Int.random(in: 0..<pieceCount, using: &rng)
    let count = Int.random(in: 1...(pieceCount - first), using: &rng)
    let run = PieceRun(first: PieceIndex(first), count: count)
    var held = PieceSet(pieceCount: pieceCount)
    held.insert(run)
    let someone = { (rng: inout SeededGenerator) in
      TrackerFixture.peer(Int.random(in: 1...peerCount + 3, using: &rng))
    }
    return PackageReport(
      package: id(package), pieceCount: pieceCount,
      holdings: Bool.random(using: &rng)
        ? .whole(held) : .changes(gained: [run], evicted: []),
      wantedPieceCount: Int.random(in: 0...pieceCount, using: &rng),
      isStarving: Int.random(in: 0..<4, using: &rng) == 0,
      deliveries: (0..<Int.random(in: 0..<4, using: &rng)).map { _ in
        Delivery(source: someone(&rng), byteCount: 100_000, duration: .milliseconds(20))
      },
      complaints: (0..<Int.random(in: 0..<10, using: &rng) / 8).map { _ in
        Complaint(source: someone(&rng), kind: .stalled, piece: PieceIndex(first))
      })
  }

  private static func heard(_ rng: inout SeededGenerator) -> HeardAnnounce {
    let peer = Int.random(in: 1...peerCount, using: &rng)
    var reports: [PackageReport] = []
    for package in 0...pieceCounts.count where Bool.random(using: &rng) {
      reports.append(report(package, &rng))
    }
    let announce = Announce(
      peer: peer == 1 ? .origin : TrackerFixture.peer(peer), port: 4_000,
      site: peer % 3 == 0 ? "" : "site \(peer % 3)",
      isLeaving: Int.random(in: 0..<8, using: &rng) == 0,
      uploads: UploadLoad(active: 0, limit: 4, byteRate: 0), reports: reports)
    return HeardAnnounce(announce, from: TrackerFixture.address(peer))
  }

  @Test(arguments: UInt64(1)...4) func theyAreAnsweredAsIfEachCameAlone(seed: UInt64) {
    var rng = SeededGenerator(seed: seed)
    var (alone, together) = (Self.tracker(), Self.tracker())
    var (aloneRng, togetherRng) = (SeededGenerator(seed: 5), SeededGenerator(seed: 5))
    var now = Instant.zero
    var sourceCount = 0
    for _ in 0..<400 {
      now = now + .milliseconds(Int.random(in: 0..<2_000, using: &rng))
      let heard = (0..<Int.random(in: 1...16, using: &rng)).map { _ in Self.heard(&rng) }
      let expected = heard.map {
        alone.announce($0.announce, from: $0.address, now: now, rng: &aloneRng)
      }
      var answers: [Referral] = []
      together.announce(heard.span, now: now, rng: &togetherRng) { index, referral in
        #expect(index == answers.count)
        answers.append(referral)
      }
      #expect(answers == expected)
      sourceCount += answers.reduce(0) { $0 + $1.packages.reduce(0) { $0 + $1.sources.count } }
    }
    #expect(sourceCount > 1_000)
    #expect(alone.snapshot().peerCount == together.snapshot().peerCount)
  }
}
