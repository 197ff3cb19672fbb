import Content
import Swarm

/// A tracker with one package, and the words of its peers.
struct TrackerFixture {
  static let package = PackageID(root: .zero)

  var tracker: Tracker
  var now = Instant.zero
  var rng = SeededGenerator(seed: 7)
  let geometry: Geometry

  /// - Parameter sharesSmall: few pieces are leased as those of a large package are.
  init(pieceCount: Int, limits: TrackerLimits = TrackerLimits(), sharesSmall: Bool = true) {
    var limits = limits
    if sharesSmall { limits.smallPackageByteCountMax = 0 }
    geometry = Geometry(byteCount: pieceCount * Geometry.pieceByteCountMin)!
    tracker = Tracker(limits: limits)
    tracker.register(Self.package, geometry)
  }

  static func peer(_ number: Int) -> PeerID { PeerID(high: 1, low: UInt64(number)) }

  static func address(_ number: Int) -> IPAddress { .v4(0x0a00_0000 + UInt32(number)) }

  mutating func pass(_ duration: Duration) { now = now + duration }

  /// Announces and returns the package's part of the answer.
  @discardableResult
  mutating func say(
    _ number: Int, _ holdings: Holdings? = nil, wanted: Int = 0, starving: Bool = false,
    peerByteRate: Int = 0,
    complaints: [Complaint] = [], deliveries: [Delivery] = [], port: UInt16 = 4_000,
    leaving: Bool = false, active: Int = 0,
    site: String = "", from address: IPAddress? = nil
  ) -> PackageReferral? {
    let report = PackageReport(
      package: Self.package, pieceCount: geometry.pieceCount,
      holdings: holdings ?? .whole(PieceSet(pieceCount: geometry.pieceCount)),
      wantedPieceCount: wanted, isStarving: starving, peerByteRate: peerByteRate,
      deliveries: deliveries, complaints: complaints)
    let announce = Announce(
      peer: Self.peer(number), port: port, site: site, isLeaving: leaving,
      uploads: UploadLoad(active: active, limit: 4, byteRate: 0), reports: [report])
    let referral = tracker.announce(
      announce, from: address ?? Self.address(number), now: now, rng: &rng)
    return referral.packages.first
  }

  static let nothing = Holdings.changes(gained: [], evicted: [])

  static func pieces(_ leases: [Lease]) -> [Int] { leases.flatMap { Array($0.run.indices) } }

  func set(_ pieces: Range<Int>) -> PieceSet {
    var set = PieceSet(pieceCount: geometry.pieceCount)
    for piece in pieces { set.insert(PieceIndex(piece)) }
    return set
  }
}
