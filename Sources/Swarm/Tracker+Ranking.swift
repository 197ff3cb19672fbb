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
      tableIndex: tableIndex, near: PeerStanding.Place(site: site, address: address), except: slot,
      countMax: limits.sourceCountMax, now: now, rng: &rng)
    return part
  }

  /// Near ones first, then those of the same region, but a quarter of the list is for the far, so
  /// that sites stay connected; within that at random, so that the askers spread. Never the
  /// suspended, the down, those above their limit and those that serve nobody; last the demoted,
  /// the slow and the full. The origin comes first when nobody else holds anything, else last.
  /// - Parameter countMax: sources named at most, the origin included.
  func rankedSources(
    tableIndex: Int, near place: PeerStanding.Place, except asker: UInt32?, countMax: Int,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> [Source] {
    guard let table = tables[tableIndex] else { return [] }
    let sampleCount = min(table.members.count, countMax * limits.sampledPerSource)
    let shunned = asker.flatMap { peers[Int($0)]?.shunned } ?? []
    // One draw: what follows needs the quality of chance, not its strength.
    var chance = SeededGenerator(seed: rng.next())
    return table.members.withUnsafeBufferPointer { members in
      standings.withUnsafeBufferPointer { standings in
        var ranked: [(rank: UInt64, member: Int)] = []
        ranked.reserveCapacity(sampleCount)
        for stretch in 0..<sampleCount {
          let index = Self.drawn(
            from: stretch, of: sampleCount, among: members.count, rng: &chance)
          let slot = members[index].slot
          guard members[index].isCounted, slot != asker,
            !shunned.contains(where: { $0.slot == slot && $0.until > now }),
            let rank = rank(
              standings[Int(slot)], isEmpty: members[index].held.isEmpty, near: place, now: now)
          else { continue }
          ranked.append((rank << 56 | chance.next() >> 8, index))
        }
        ranked.sort { $0.rank < $1.rank }
        var sources: [Source] = []
        sources.reserveCapacity(countMax)
        var isAlone = true
        for entry in Self.mixed(ranked, countMax: countMax - 1) {
          let standing = standings[Int(members[entry.member].slot)]
          let heldPieceCount = members[entry.member].held.count
          if heldPieceCount > 0 { isAlone = false }
          sources.append(
            Source(
              peer: standing.id, endpoint: standing.endpoint, heldPieceCount: heldPieceCount,
              uploads: standing.uploads, isNear: Self.isNear(entry.rank),
              speaksTLS: standing.speaksTLS))
        }
        let origin = Source(
          peer: .origin, endpoint: Endpoint(address: .v4(0), port: 0),
          heldPieceCount: table.geometry.pieceCount, uploads: originLoad, isNear: false)
        if isAlone { sources.insert(origin, at: 0) } else { sources.append(origin) }
        return sources
      }
    }
  }

  /// A peer that a client without our software may be sent to: it holds everything, was not accused
  /// of anything, has a free upload, and is as near as such a one can be. Nil when there is none.
  package func redirectTarget(
    of id: PackageID, for address: IPAddress, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Endpoint? {
    guard let tableIndex = tableIndices[id], let table = tables[tableIndex] else { return nil }
    let place = PeerStanding.Place(site: "", address: address)
    var best: (rank: UInt64, endpoint: Endpoint)?
    for index in candidates(among: table.members.count, rng: &rng) {
      let member = table.members[index]
      guard member.isCounted, member.held.isFull, let peer = peers[Int(member.slot)],
        peer.demotedUntil <= now, peer.deadReports.isEmpty, !peer.speaksTLS,
        !reputation.isAccused(peer.id), peer.uploads.active < peer.uploads.limit
      else { continue }
      let far: UInt64 = peer.place.isNear(place) ? 0 : 1
      let rank = far << 56 | rng.next() >> 8
      if best.map({ rank < $0.rank }) ?? true { best = (rank, peer.endpoint) }
    }
    return best?.endpoint
  }

  /// All members of a small table; of a large one, some drawn at random and in that order.
  private func candidates(
    among count: Int, rng: inout some RandomNumberGenerator
  ) -> [Int] {
    guard count > limits.sampleCountMax else { return Array(0..<count) }
    let stretchCount = limits.sampleCountMax
    return (0..<stretchCount).map {
      Self.drawn(from: $0, of: stretchCount, among: count, rng: &rng)
    }
  }

  /// One of a stretch of the members, which are cut into equal ones. Evenly spaced from a random
  /// start would keep meeting the same company; one draw from each stretch does not, and draws
  /// nobody twice.
  private static func drawn(
    from stretch: Int, of stretchCount: Int, among count: Int,
    rng: inout some RandomNumberGenerator
  ) -> Int {
    let start = stretch * count / stretchCount
    let end = (stretch + 1) * count / stretchCount
    guard end - start > 1 else { return start }
    return start + Int(truncatingIfNeeded: rng.next() >> 1) % (end - start)
  }

  private static let farRank: UInt64 = 4

  private static func isNear(_ key: UInt64) -> Bool { key >> 56 & farRank == 0 }

  /// The high byte of the sort key, the rest of which is chance; nil for who is not to be named.
  func rank(
    _ standing: PeerStanding, isEmpty: Bool, near place: PeerStanding.Place, now: Instant
  ) -> UInt64? {
    let uploads = standing.uploads
    guard uploads.limit > 0, uploads.active <= uploads.limit else { return nil }
    var rank: UInt64 = 0
    if standing.demotedUntil > now { rank |= 32 }
    if standing.servedRate > 0, standing.servedRate < servedRate / 4 { rank |= 16 }
    if uploads.active >= uploads.limit { rank |= 8 }
    if !standing.place.isNear(place) {
      rank |= Self.farRank
      if !standing.place.isInRegion(of: place) { rank |= 2 }
    }
    if isEmpty { rank |= 1 }
    return rank
  }

  /// A quarter of a full list is for the far.
  private static func mixed(
    _ ranked: [(rank: UInt64, member: Int)], countMax: Int
  ) -> [(rank: UInt64, member: Int)] {
    guard ranked.count > countMax else { return ranked }
    let near = ranked.filter { isNear($0.rank) }
    guard near.count < ranked.count else { return Array(ranked.prefix(countMax)) }
    let far = ranked.filter { !isNear($0.rank) }
    let nearCount = min(near.count, max(countMax - countMax / 4, countMax - far.count))
    return Array(near.prefix(nearCount) + far.prefix(countMax - nearCount))
  }
}
