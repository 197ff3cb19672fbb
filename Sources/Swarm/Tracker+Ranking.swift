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
    guard let table = tables[tableIndex] else { return [] }
    var ranked: [(rank: UInt64, source: Source)] = []
    for index in candidates(in: table, rng: &rng) {
      let member = table.members[index]
      guard member.isCounted, member.slot != asker, let peer = peers[Int(member.slot)],
        peer.uploads.limit > 0, peer.uploads.active <= peer.uploads.limit
      else { continue }
      if let asker, peers[Int(asker)]?.shuns(member.slot, now: now) == true { continue }
      let source = Source(
        peer: peer.id, endpoint: peer.endpoint, heldPieceCount: member.held.count,
        uploads: peer.uploads, isNear: peer.isNear(address: address, site: site))
      ranked.append((rank(peer, source, now: now) | rng.next() >> 8, source))
    }
    ranked.sort { $0.rank < $1.rank }
    let origin = Source(
      peer: .origin, endpoint: Endpoint(address: .v4(0), port: 0),
      heldPieceCount: table.geometry.pieceCount, uploads: originLoad, isNear: false)
    let chosen = mixed(ranked.map(\.source))
    let isAlone = !chosen.contains { $0.heldPieceCount > 0 }
    return isAlone ? [origin] + chosen : chosen + [origin]
  }

  private func candidates(
    in table: PackageTable, rng: inout some RandomNumberGenerator
  ) -> [Int] {
    let count = table.members.count
    guard count > limits.sampleCountMax else { return Array(0..<count) }
    var drawn: Set<Int> = []
    var order: [Int] = []
    while order.count < limits.sampleCountMax {
      let index = Int.random(in: 0..<count, using: &rng)
      if drawn.insert(index).inserted { order.append(index) }
    }
    return order
  }

  /// The high byte of the sort key; the rest is chance.
  private func rank(_ peer: PeerRecord, _ source: Source, now: Instant) -> UInt64 {
    var rank: UInt64 = 0
    if peer.demotedUntil > now { rank |= 16 }
    if peer.servedRate > 0, peer.servedRate < servedRate / 4 { rank |= 8 }
    if source.uploads.active >= source.uploads.limit { rank |= 4 }
    if !source.isNear { rank |= 2 }
    if source.heldPieceCount == 0 { rank |= 1 }
    return rank << 56
  }

  private func mixed(_ ranked: [Source]) -> [Source] {
    let countMax = limits.sourceCountMax - 1
    guard ranked.count > countMax else { return ranked }
    let nearMax = countMax - countMax / 4
    let near = ranked.filter(\.isNear).prefix(nearMax)
    let far = ranked.filter { !$0.isNear }
    let taken = near + far.prefix(countMax - near.count)
    let rest = ranked.filter(\.isNear).dropFirst(nearMax).prefix(countMax - taken.count)
    return Array(taken + rest)
  }
}
