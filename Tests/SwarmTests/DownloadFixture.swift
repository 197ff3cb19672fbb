import Content
import Swarm

/// A download under test: feeds events, keeps the effects of the last one.
struct DownloadFixture {
  static let package = PackageID(root: .zero)

  var download: Download
  var now = Instant.zero
  var rng = SeededGenerator(seed: 11)
  var effects: [Download.Effect] = []

  init(
    pieceCount: Int, pieceByteCount: Int = Geometry.pieceByteCountMin, held: [Int] = [],
    limits: DownloadLimits = DownloadLimits()
  ) {
    let geometry = Geometry(
      byteCount: pieceCount * pieceByteCount, pieceByteCount: pieceByteCount)!
    var set = PieceSet(pieceCount: pieceCount)
    for piece in held { set.insert(PieceIndex(piece)) }
    download = Download(
      package: Self.package, geometry: geometry, held: set, limits: limits)
  }

  static func peer(_ number: Int) -> PeerID { PeerID(high: 1, low: UInt64(number)) }

  static func run(_ first: Int, _ count: Int = 1) -> PieceRun {
    PieceRun(first: PieceIndex(first), count: count)
  }

  mutating func tell(_ event: Download.Event, after duration: Duration = .zero) {
    effects = []
    // A machine that is awake gets its ticks; one that is not excuses its sources.
    let (target, pace) = (now + duration, Duration.milliseconds(100))
    while target - now > pace {
      now = now + pace
      download.step(.ticked, now: now, rng: &rng, effects: &effects)
    }
    now = target
    download.step(event, now: now, rng: &rng, effects: &effects)
  }

  /// Answers the announce under way.
  mutating func refer(
    leases: [PieceRun] = [], sources: [Int] = [], wantsWhole: Bool = false,
    promises: [Promise] = [], near: [Int] = [], staysNear: Bool = false,
    crossings: [PieceRun] = [], after duration: Duration = .zero
  ) {
    let load = UploadLoad(active: 0, limit: 4, byteRate: 0)
    let referral = PackageReferral(
      package: Self.package, pieceCount: download.geometry.pieceCount, wantsWhole: wantsWhole,
      leases: leases.map { Lease(run: $0, term: .seconds(5)) }, staysNear: staysNear,
      crossings: crossings.map { Lease(run: $0, term: .seconds(5)) },
      sources: sources.map {
        Source(
          peer: Self.peer($0),
          endpoint: Endpoint(address: .v4(UInt32($0)), port: 1), heldPieceCount: 1,
          uploads: load, isNear: near.contains($0))
      },
      promises: promises)
    tell(.referred(referral, interval: .seconds(1)), after: duration)
  }

  /// Started, referred to these peers, and each holds all of the pieces named.
  mutating func follow(_ holders: [Int: [Int]]) {
    tell(.started)
    refer(sources: holders.keys.sorted())
    for (number, pieces) in holders.sorted(by: { $0.key < $1.key }) {
      var set = PieceSet(pieceCount: download.geometry.pieceCount)
      for piece in pieces { set.insert(PieceIndex(piece)) }
      let before = effects
      tell(.heldBy(Self.peer(number), set))
      effects = before + effects
    }
  }

  mutating func deliver(_ fetch: Fetch) {
    var all: [Download.Effect] = []
    for piece in fetch.run.pieces {
      tell(.arrived(piece, fetch.id))
      all += effects
      tell(.verified(piece, fetch.id))
      all += effects
    }
    tell(.finished(fetch.id, .complete))
    effects = all + effects
  }

  struct Fetch: Hashable {
    var id: RequestID
    var source: PeerID
    var run: PieceRun
  }

  var fetches: [Fetch] {
    effects.compactMap {
      if case .fetch(let id, let source, let run) = $0 {
        Fetch(id: id, source: source, run: run)
      } else {
        nil
      }
    }
  }

  var arrivingFetches: [Fetch] {
    effects.compactMap {
      if case .fetchArriving(let id, let source, let piece) = $0 {
        Fetch(id: id, source: source, run: PieceRun(piece))
      } else {
        nil
      }
    }
  }

  var announces: [PackageReport] {
    effects.compactMap { if case .announce(let report) = $0 { report } else { nil } }
  }

  var cancels: [RequestID] {
    effects.compactMap { if case .cancel(let id) = $0 { id } else { nil } }
  }

  var tick: Duration? {
    effects.compactMap { if case .tick(let after) = $0 { after } else { nil } }.last
  }
}
