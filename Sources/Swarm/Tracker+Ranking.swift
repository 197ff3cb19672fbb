package import Content

/// Which sources are named, in which order.
extension Tracker {
  /// The ranked sources for somebody who only asks (`/-/referral/ID`, or a redirected request):
  /// no leases. Nil when the package is not registered.
  package func sources(
    of id: PackageID, for address: IPAddress, site: String = "", except asker: PeerID? = nil,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> PackageReferral? {
    guard let tableIndex = tableIndices[id], let table = tables[tableIndex] else { return nil }
    let slot = asker.flatMap { slots[$0] }
    var part = PackageReferral(package: id, pieceCount: table.geometry.pieceCount)
    part.sources = rankedSources(
      tableIndex: tableIndex, address: address, site: site, except: slot, now: now, rng: &rng)
    return part
  }

  /// Near ones first, but a quarter of the list is for the far, so that sites stay connected;
  /// within that at random, so that the askers spread. Never the suspended, the down, those above
  /// their limit and those that serve nobody; last the demoted, the slow and the full. The origin
  /// comes first when nobody else holds anything, else last.
  func rankedSources(
    tableIndex: Int, address: IPAddress, site: String, except asker: UInt32?, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> [Source] {
    guard let memberCount = tables[tableIndex]?.members.count else { return [] }
    var ranked: [(rank: UInt64, member: Int)] = []
    ranked.reserveCapacity(min(memberCount, limits.sampleCountMax))
    for index in candidates(among: memberCount, rng: &rng) {
      let slot = tables[tableIndex]!.members[index].slot
      guard tables[tableIndex]!.members[index].isCounted, slot != asker,
        let rank = rank(
          slot, isEmpty: tables[tableIndex]!.members[index].held.isEmpty, address: address,
          site: site, asker: asker, now: now)
      else { continue }
      ranked.append((rank << 56 | rng.next() >> 8, index))
    }
    ranked.sort { $0.rank < $1.rank }
    let origin = Source(
      peer: .origin, endpoint: Endpoint(address: .v4(0), port: 0),
      heldPieceCount: tables[tableIndex]!.geometry.pieceCount, uploads: originLoad, isNear: false)
    let chosen = mixed(ranked).map { entry in
      let slot = tables[tableIndex]!.members[entry.member].slot
      let peer = peers[Int(slot)]!
      return Source(
        peer: peer.id, endpoint: peer.endpoint,
        heldPieceCount: tables[tableIndex]!.members[entry.member].held.count,
        uploads: peer.uploads, isNear: Self.isNear(entry.rank), speaksTLS: peer.speaksTLS)
    }
    let isAlone = !chosen.contains { $0.heldPieceCount > 0 }
    return isAlone ? [origin] + chosen : chosen + [origin]
  }

  /// All members of a small table; of a large one, some drawn at random and in that order.
  private func candidates(
    among count: Int, rng: inout some RandomNumberGenerator
  ) -> [Int] {
    guard count > limits.sampleCountMax else { return Array(0..<count) }
    // Evenly spaced from a random start would keep meeting the same company; one draw from each of
    // equal stretches does not, and draws nobody twice.
    return (0..<limits.sampleCountMax).map { stretch in
      let start = stretch * count / limits.sampleCountMax
      let end = (stretch + 1) * count / limits.sampleCountMax
      return start + Int(truncatingIfNeeded: rng.next() >> 1) % (end - start)
    }
  }

  private static let farRank: UInt64 = 2

  private static func isNear(_ key: UInt64) -> Bool { key >> 56 & farRank == 0 }

  /// The high byte of the sort key, the rest of which is chance; nil for who is not to be named.
  private func rank(
    _ slot: UInt32, isEmpty: Bool, address: IPAddress, site: String, asker: UInt32?, now: Instant
  ) -> UInt64? {
    guard let uploads = peers[Int(slot)]?.uploads, uploads.limit > 0,
      uploads.active <= uploads.limit
    else { return nil }
    if let asker, peers[Int(asker)]!.shuns(slot, now: now) { return nil }
    var rank: UInt64 = 0
    if peers[Int(slot)]!.demotedUntil > now { rank |= 16 }
    let rate = peers[Int(slot)]!.servedRate
    if rate > 0, rate < servedRate / 4 { rank |= 8 }
    if uploads.active >= uploads.limit { rank |= 4 }
    if !peers[Int(slot)]!.isNear(address: address, site: site) { rank |= Self.farRank }
    if isEmpty { rank |= 1 }
    return rank
  }

  /// A quarter of a full list is for the far.
  private func mixed(
    _ ranked: [(rank: UInt64, member: Int)]
  ) -> [(rank: UInt64, member: Int)] {
    let countMax = limits.sourceCountMax - 1
    guard ranked.count > countMax else { return ranked }
    let near = ranked.filter { Self.isNear($0.rank) }
    let far = ranked.filter { !Self.isNear($0.rank) }
    let nearCount = min(near.count, max(countMax - countMax / 4, countMax - far.count))
    return Array(near.prefix(nearCount) + far.prefix(countMax - nearCount))
  }
}
