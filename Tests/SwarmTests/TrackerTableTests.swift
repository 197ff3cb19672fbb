import Content
import Swarm
import Testing

/// Peers come, change, move between packages and go, thousands of times; a plain dictionary beside
/// the tracker knows what must be in its table.
@Suite struct TrackerTableTests {
  private struct Key: Hashable {
    let package: Int
    let peer: Int
  }

  private struct Model {
    static let pieceCounts = [1, 64, 65, 200]
    static let peerCount = 400

    var tracker = Tracker()
    var held: [Key: PieceSet] = [:]
    var isRegistered = Array(repeating: true, count: pieceCounts.count)
    var rng: SeededGenerator

    init(seed: UInt64) {
      rng = SeededGenerator(seed: seed)
      for package in Self.pieceCounts.indices { register(package) }
    }

    static func id(_ package: Int) -> PackageID {
      PackageID(root: SHA256Digest(words: (0, 0, 0, UInt64(package + 1))))
    }

    mutating func register(_ package: Int) {
      let byteCount = Self.pieceCounts[package] * Geometry.pieceByteCountMin
      tracker.register(Self.id(package), Geometry(byteCount: byteCount)!)
      isRegistered[package] = true
    }

    mutating func withdraw(_ package: Int) {
      tracker.withdraw(Self.id(package))
      isRegistered[package] = false
      held = held.filter { $0.key.package != package }
    }

    mutating func leave(_ peer: Int) {
      say(peer, [], isLeaving: true)
      held = held.filter { $0.key.peer != peer }
    }

    mutating func randomRun(_ pieceCount: Int) -> PieceRun {
      let first = Int.random(in: 0..<pieceCount, using: &rng)
      let count = Int.random(in: 1...(pieceCount - first), using: &rng)
      return PieceRun(first: PieceIndex(first), count: count)
    }

    /// A report of some packages, whole for those that the tracker is to be told of anew.
    mutating func report(_ peer: Int) {
      var reports: [PackageReport] = []
      for package in Self.pieceCounts.indices where Bool.random(using: &rng) {
        let (key, pieceCount) = (Key(package: package, peer: peer), Self.pieceCounts[package])
        let (gained, evicted) = (randomRun(pieceCount), randomRun(pieceCount))
        var holdings = Holdings.changes(gained: [gained], evicted: [evicted])
        var set = held[key] ?? PieceSet(pieceCount: pieceCount)
        if held[key] == nil || Int.random(in: 0..<8, using: &rng) == 0 {
          set = PieceSet(pieceCount: pieceCount)
          set.insert(gained)
          holdings = .whole(set)
        } else {
          set.remove(evicted)
          set.insert(gained)
        }
        if isRegistered[package] { held[key] = set }
        reports.append(
          PackageReport(
            package: Self.id(package), pieceCount: pieceCount, holdings: holdings,
            wantedPieceCount: pieceCount - set.count))
      }
      say(peer, reports, isLeaving: false)
    }

    private mutating func say(_ peer: Int, _ reports: [PackageReport], isLeaving: Bool) {
      let site = peer % 3 == 0 ? "" : "site \(Int.random(in: 0..<4, using: &rng))"
      let announce = Announce(
        peer: TrackerFixture.peer(peer), port: 4_000, site: site, isLeaving: isLeaving,
        uploads: UploadLoad(active: 0, limit: 4, byteRate: 0), reports: reports)
      _ = tracker.announce(
        announce, from: TrackerFixture.address(peer), now: .zero, rng: &rng)
    }

    func check() {
      let snapshot = tracker.snapshot()
      for (package, pieceCount) in Self.pieceCounts.enumerated() {
        let sets = held.filter { $0.key.package == package }.map(\.value)
        let seen = snapshot.packages.first { $0.package == Self.id(package) }
        #expect((seen != nil) == isRegistered[package])
        guard let seen else { continue }
        var union = PieceSet(pieceCount: pieceCount)
        for set in sets { union.formUnion(set) }
        #expect(seen.memberCount == sets.count)
        #expect(seen.seedCount == sets.count { $0.isFull })
        #expect(seen.heldPieceCount == union.count)
      }
    }
  }

  @Test(arguments: UInt64(1)...4) func theTableIsWhatWasSaid(seed: UInt64) {
    var model = Model(seed: seed)
    for step in 0..<3_000 {
      let peer = Int.random(in: 1...Model.peerCount, using: &model.rng)
      switch Int.random(in: 0..<100, using: &model.rng) {
      case 0..<70: model.report(peer)
      case 70..<99: model.leave(peer)
      default:
        let package = Int.random(in: 0..<Model.pieceCounts.count, using: &model.rng)
        if model.isRegistered[package] { model.withdraw(package) } else { model.register(package) }
      }
      if step % 250 == 0 { model.check() }
    }
    model.check()
    for peer in 1...Model.peerCount { model.leave(peer) }
    model.check()
    #expect(model.tracker.snapshot().peerCount == 0)
  }
}
