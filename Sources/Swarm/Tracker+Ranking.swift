package import Content

/// Which sources are named, in which order.
extension Tracker {
  /// The ranked sources for somebody who only asks (`/-/referral/ID`, or a redirected request):
  /// no leases. Nil when the package is not registered.
  package func sources(
    of id: PackageID, for address: IPAddress, site: String = "", except asker: PeerID? = nil,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> PackageReferral? {
    guard let tableIndex = tableIndices[id] else { return nil }
    let slot = asker.flatMap { self.slot(of: $0) }
    var part = PackageReferral(package: id, pieceCount: tables[tableIndex].pieceCount)
    part.sources = rankedSources(
      tableIndex: tableIndex, near: place(label: site, address), except: slot,
      countMax: limits.sourceCountMax, now: now, rng: &rng)
    return part
  }

  /// Near ones first, then those of the same region, but a quarter of the list is for the far, so
  /// that sites stay connected; within that at random, so that the askers spread. Never the
  /// suspended, the down, those above their limit and those that serve nobody; last the demoted,
  /// the slow and the full. The origin comes first when nobody else holds anything, else last.
  /// - Parameter countMax: sources named at most, the origin included.
  func rankedSources(
    tableIndex: Int, near place: PeerPlace, except asker: UInt32?, countMax: Int,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> [Source] {
    let memberCount = tables[tableIndex].members.count
    let sampleCount = min(memberCount, countMax * limits.sampledPerSource)
    let marks = asker.flatMap { self.marks(of: $0) }
    // One draw: what follows needs the quality of chance, not its strength.
    var chance = SeededGenerator(seed: rng.next())
    var ranked: [(rank: UInt64, member: Int)] = []
    ranked.reserveCapacity(sampleCount)
    for stretch in 0..<sampleCount {
      let index = Self.drawn(from: stretch, of: sampleCount, among: memberCount, rng: &chance)
      let slot = tables[tableIndex].members[index].slot
      guard tables[tableIndex].members[index].isCounted, slot != asker,
        marks?.shuns(slot, now: now) != true,
        let rank = rank(
          slot, isEmpty: tables[tableIndex].members[index].heldCount == 0, near: place, now: now)
      else { continue }
      ranked.append((rank << 56 | chance.next() >> 8, index))
    }
    ranked.sort { $0.rank < $1.rank }
    var sources: [Source] = []
    sources.reserveCapacity(min(countMax, ranked.count + 1))
    var isAlone = true
    for entry in Self.mixed(ranked, countMax: countMax - 1) {
      let heldPieceCount = tables[tableIndex].members[entry.member].heldCount
      if heldPieceCount > 0 { isAlone = false }
      let peer = peers[Int(tables[tableIndex].members[entry.member].slot)]
      sources.append(
        Source(
          peer: peer.id, endpoint: peer.endpoint, heldPieceCount: heldPieceCount,
          uploads: peer.uploads, isNear: Self.isNear(entry.rank),
          speaksTLS: peer.flags.contains(.speaksTLS)))
    }
    let origin = Source(
      peer: .origin, endpoint: Endpoint(address: .v4(0), port: 0),
      heldPieceCount: tables[tableIndex].pieceCount, uploads: originLoad, isNear: false)
    if isAlone { sources.insert(origin, at: 0) } else { sources.append(origin) }
    return sources
  }

  func marks(of slot: UInt32) -> PeerMarks? {
    peers[Int(slot)].flags.contains(.isMarked) ? marks[slot] : nil
  }

  /// A peer that a client without our software may be sent to: it holds everything, was not accused
  /// of anything, has a free upload, and is as near as such a one can be. Nil when there is none.
  package func redirectTarget(
    of id: PackageID, for address: IPAddress, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Endpoint? {
    guard let tableIndex = tableIndices[id] else { return nil }
    let place = place(label: "", address)
    var best: (rank: UInt64, endpoint: Endpoint)?
    for index in candidates(among: tables[tableIndex].members.count, rng: &rng) {
      let slot = tables[tableIndex].members[index].slot
      guard tables[tableIndex].members[index].isCounted, tables[tableIndex].isFull(index) else {
        continue
      }
      let peer = peers[Int(slot)]
      guard peer.demotedUntil <= now, marks(of: slot)?.deadReports.isEmpty != false,
        !peer.flags.contains(.speaksTLS), !reputation.isAccused(peer.id), !peer.isFull
      else { continue }
      let far: UInt64 = peer.isNear(place) ? 0 : 1
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
  private func rank(
    _ slot: UInt32, isEmpty: Bool, near place: PeerPlace, now: Instant
  ) -> UInt64? {
    let peer = peers[Int(slot)]
    guard peer.takesUploads else { return nil }
    var rank: UInt64 = 0
    if peer.demotedUntil > now { rank |= 32 }
    if peer.servedRate > 0, peer.servedRate < servedRate / 4 { rank |= 16 }
    if peer.isFull { rank |= 8 }
    if !peer.isNear(place) {
      rank |= Self.farRank
      if place.region == 0 || labels.region(peer.site) != place.region { rank |= 2 }
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
