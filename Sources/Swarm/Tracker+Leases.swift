package import Content

/// What the origin sends itself, to whom, and when that is over.
extension Tracker {
  mutating func lease(
    _ report: PackageReport, slot: UInt32, tableIndex: Int, now: Instant
  ) -> [Lease] {
    guard report.wantedPieceCount > 0, let peer = peers[Int(slot)],
      let index = tables[tableIndex]!.index(of: slot)
    else { return [] }
    if let lease = leaseWhole(slot: slot, tableIndex: tableIndex, index: index, now: now) {
      return [lease]
    }
    let pieceByteCount = tables[tableIndex]!.geometry.pieceByteCount
    let leasedByteCount = tables[tableIndex]!.leasedPieceCount * pieceByteCount
    let isLarge = tables[tableIndex]!.members.count >= limits.largeMemberCount
    let period = ServicePolicy.period(
      byteCount: pieceByteCount, lineByteRate: max(peer.originRate, report.peerByteRate),
      base: isLarge ? limits.leasePeriod / 2 : limits.leasePeriod)
    let byteCountMax = max(
      limits.leasedByteCountMin, Int(Double(sendRate) * period.seconds))
    let promisedByteCount = leasedByteCount + originBacklogByteCount
    let term = term(tableIndex: tableIndex, index: index, peer: peer)
    let request = LeaseRequest(
      wantedPieceCount: report.wantedPieceCount,
      reachable: report.isStarving ? reachable(from: slot, tableIndex: tableIndex, now: now) : nil,
      byteRate: peer.originRate, originByteRate: sendRate,
      roomPieceCount: (byteCountMax - promisedByteCount) / pieceByteCount,
      queueShare: Double(promisedByteCount) / Double(max(1, byteCountMax)),
      isSlow: isSlow(report, peer: peer, tableIndex: tableIndex, index: index),
      repeatPieceCount: repeatPieceCount(tableIndex: tableIndex), deadline: now + term, now: now)
    // Whoever comes for the first time knows nobody: that is no reason to crowd the origin's line.
    let isLost = report.isStarving && tables[tableIndex]!.members[index].toldMemberCount > 0
    guard request.roomPieceCount > 0 || isLost else { return [] }
    let runs = tables[tableIndex]!.lease(request, at: index)
    if !runs.isEmpty { schedule(.leases(table: UInt32(tableIndex)), slot: slot, at: now + term) }
    return runs.map { Lease(run: $0, term: term) }
  }

  func isSmall(_ tableIndex: Int) -> Bool {
    tables[tableIndex]!.geometry.byteCount <= limits.smallPackageByteCountMax
  }

  /// All of a small package, to whoever asks for the first time while the origin can send it within
  /// its target period. Members whose site brings pieces in together, and those that the operator's
  /// budget does not reach, get it the normal way.
  private mutating func leaseWhole(
    slot: UInt32, tableIndex: Int, index: Int, now: Instant
  ) -> Lease? {
    let table = tables[tableIndex]!
    let (member, geometry) = (table.members[index], table.geometry)
    guard isSmall(tableIndex), member.held.isEmpty, member.leases.isEmpty, !table.staysNear(index),
      repeatPieceCount(tableIndex: tableIndex).map({ $0 >= geometry.pieceCount }) ?? true
    else { return nil }
    let sentInPeriod = Int(Double(sendRate) * limits.targetPeriod.seconds)
    let leasedByteCount =
      table.leasedPieceCount * min(geometry.pieceByteCount, geometry.byteCount)
    guard
      originBacklogByteCount + leasedByteCount + geometry.byteCount
        <= max(sentInPeriod, limits.smallLeasedByteCountMin)
    else { return nil }
    let term = term(tableIndex: tableIndex, index: index, peer: peers[Int(slot)]!)
    let run = PieceRun(first: PieceIndex(0), count: geometry.pieceCount)
    tables[tableIndex]!.addLease(LeaseRecord(run: run, deadline: now + term), at: index)
    schedule(.leases(table: UInt32(tableIndex)), slot: slot, at: now + term)
    return Lease(run: run, term: term)
  }

  /// The member fetches all of a small package from the origin, or has it: to name sources would
  /// only make it open connections that it does not need. A newcomer that has nothing to go on with
  /// says that it starves: that is no failure of the origin's.
  func isServedAlone(
    _ report: PackageReport, _ leases: [Lease], isNew: Bool, tableIndex: Int, index: Int,
    now: Instant
  ) -> Bool {
    guard isSmall(tableIndex), isNew || !report.isStarving else { return false }
    let member = tables[tableIndex]!.members[index]
    if member.held.isFull { return true }
    let pieceCount = tables[tableIndex]!.geometry.pieceCount
    if report.wantedPieceCount > 0 { return leases.first?.run.count == pieceCount }
    return member.leases.contains { $0.run.count == pieceCount && $0.deadline > now }
  }

  /// Bytes a second that the origin can send: what the operator allows, else what was measured.
  private var sendRate: Int { limits.originByteRate ?? originMeter.byteRate }

  /// The peers of this member would let it wait, and the origin would not.
  private func isSlow(
    _ report: PackageReport, peer: PeerRecord, tableIndex: Int, index: Int
  ) -> Bool {
    let geometry = tables[tableIndex]!.geometry
    let missing = geometry.pieceCount - tables[tableIndex]!.members[index].held.count
    let known = report.peerByteRate
    return ServicePolicy.helps(
      missingByteCount: missing * geometry.pieceByteCount,
      peerByteRate: known > 0 ? known : expectedByteRate(tableIndex: tableIndex, index: index),
      originByteRate: peer.originRate > 0 ? peer.originRate : limits.originByteRate ?? 0,
      period: limits.targetPeriod)
  }

  /// What the holders together should send a newcomer, from what others measured of them; 0 when it
  /// is not known of all.
  private func expectedByteRate(tableIndex: Int, index: Int) -> Int {
    let table = tables[tableIndex]!
    guard table.members.count <= limits.sampleCountMax else { return 0 }
    var sum = 0
    for (other, member) in table.members.enumerated()
    where other != index && member.isCounted && !member.held.isEmpty {
      guard let peer = peers[Int(member.slot)] else { continue }
      let rate = max(peer.servedRate, min(peer.uploads.byteRate, 1 << 40))
      guard rate > 0 else { return 0 }
      sum += rate
    }
    return sum / max(1, table.askerCount)
  }

  /// How many pieces may be sent again under the operator's budget; nil without one.
  private func repeatPieceCount(tableIndex: Int) -> Int? {
    guard let copies = limits.originCopiesMax else { return nil }
    let table = tables[tableIndex]!
    let pieceByteCount = table.geometry.pieceByteCount
    return ServicePolicy.repeatableByteCount(
      copies: copies, byteCount: table.geometry.byteCount, sentByteCount: table.swarmByteCount,
      promisedByteCount: table.leasedPieceCount * pieceByteCount,
      freshByteCount: table.unheld.count * pieceByteCount) / pieceByteCount
  }

  /// A second; four times what the member's own line needs for all it was given; and what the
  /// origin needs for all that is promised.
  private func term(tableIndex: Int, index: Int, peer: PeerRecord) -> Duration {
    let table = tables[tableIndex]!
    let pieceByteCount = table.geometry.pieceByteCount
    let own = table.members[index].leases.reduce(4) { $0 + $1.run.count } * pieceByteCount
    let all = (table.leasedPieceCount + 4) * pieceByteCount
    let ownRate = Double(max(peer.originRate > 0 ? peer.originRate : sendRate, 128 << 10))
    let rate = Double(max(sendRate, peer.originRate, 128 << 10))
    let expected = max(Double(own) / ownRate, Double(all) / rate)
    let term = Duration.seconds(1) + .nanoseconds(Int64(min(expected * 4, 3_600) * 1e9))
    return min(max(term, limits.leaseTerm.lowerBound), limits.leaseTerm.upperBound)
  }

  /// What the sources that are of use to a member hold together; in a large swarm, some of them.
  private func reachable(from slot: UInt32, tableIndex: Int, now: Instant) -> PieceSet {
    var union = PieceSet(pieceCount: tables[tableIndex]!.geometry.pieceCount)
    for member in tables[tableIndex]!.members.prefix(limits.reachableCountMax)
    where member.isCounted && member.slot != slot {
      if peers[Int(slot)]!.shuns(member.slot, now: now) { continue }
      union.formUnion(member.held)
      if union.isFull { break }
    }
    return union
  }

  /// What the member brings into its site.
  mutating func crossings(
    _ report: PackageReport, slot: UInt32, tableIndex: Int, now: Instant
  ) -> [Lease] {
    guard report.wantedPieceCount > 0, let index = tables[tableIndex]!.index(of: slot) else {
      return []
    }
    let term = limits.crossingTerm
    let runs = tables[tableIndex]!.cross(
      wantedPieceCount: report.wantedPieceCount, byteRate: report.peerByteRate,
      deadline: now + term, at: index)
    if !runs.isEmpty { schedule(.leases(table: UInt32(tableIndex)), slot: slot, at: now + term) }
    return runs.map { Lease(run: $0, term: term) }
  }

  /// For the lists of the most used: nothing is decided by it.
  mutating func noteUse(_ delivery: Delivery, by reporter: UInt32, tableIndex: Int) {
    guard let slot = slots[delivery.source], slot != reporter else { return }
    let byteCount = min(delivery.byteCount, tables[tableIndex]!.geometry.byteCount)
    peers[Int(slot)]!.servedByteCount &+= byteCount
    tables[tableIndex]!.peerByteCount &+= byteCount
    peerByteCount &+= byteCount
  }

  // MARK: What the origin's shell tells

  /// A member asks for bytes of `run`. False when they would exceed the operator's budget: others
  /// have the pieces, and they are not leased to it. When true, `originSent` tells how it ended.
  package mutating func originStarts(
    _ run: PieceRun, of id: PackageID, to peer: PeerID, byteCount: Int, now: Instant
  ) -> Bool {
    guard let tableIndex = tableIndices[id], tables[tableIndex]!.geometry.contains(run) else {
      return true
    }
    if !mayStart(run, tableIndex: tableIndex, peer: peer, byteCount: byteCount) { return false }
    tables[tableIndex]!.swarmByteCount += max(0, byteCount)
    return true
  }

  private mutating func mayStart(
    _ run: PieceRun, tableIndex: Int, peer: PeerID, byteCount: Int
  ) -> Bool {
    guard let repeatCount = repeatPieceCount(tableIndex: tableIndex) else { return true }
    let index = slots[peer].flatMap { tables[tableIndex]!.index(of: $0) }
    let pieceByteCount = tables[tableIndex]!.geometry.pieceByteCount
    let table = tables[tableIndex]!
    var covered = PieceSet(pieceCount: table.geometry.pieceCount)
    var fetched: [(number: Int, byteCount: Int)] = []
    let leases = index.map { table.members[$0].leases } ?? []
    for (number, lease) in leases.enumerated()
    where lease.fetchedByteCount < lease.run.count * pieceByteCount {
      let common = lease.run.indices.clamped(to: run.indices)
      guard !common.isEmpty else { continue }
      covered.insert(PieceRun(first: PieceIndex(common.lowerBound), count: common.count))
      fetched.append((number, common.count * pieceByteCount))
    }
    let repeated = run.pieces.reduce(0) { count, piece in
      let isOut = table.holderCount(of: piece) > 0 || table.leaseCount(of: piece) > 0
      return count + (isOut && !covered.contains(piece) ? 1 : 0)
    }
    guard repeated <= repeatCount else { return false }
    if let index {
      for (number, byteCount) in fetched {
        tables[tableIndex]!.noteFetched(byteCount, ofLease: number, at: index)
      }
    }
    return true
  }

  /// How a response for `run` ended: `isComplete` false when it broke off (the pieces wholly sent
  /// before that are not in `run`), and then the rest goes to the next who asks. Nil `peer` is a
  /// client that did not say who it is. `unsentByteCount` of what `originStarts` was told did not
  /// leave.
  package mutating func originSent(
    _ run: PieceRun, of id: PackageID, to peer: PeerID?, byteCount: Int, unsentByteCount: Int = 0,
    isComplete: Bool, now: Instant
  ) {
    originMeter.add(byteCount: max(0, byteCount), now: now)
    guard let tableIndex = tableIndices[id] else { return }
    tables[tableIndex]!.originByteCount += max(0, byteCount)
    guard let peer else { return }
    tables[tableIndex]!.swarmByteCount -= max(0, unsentByteCount)
    guard let slot = slots[peer], let index = tables[tableIndex]!.index(of: slot) else { return }
    if isComplete {
      tables[tableIndex]!.noteSent(run, at: index)
    } else {
      tables[tableIndex]!.yield(run, at: index)
    }
  }

  /// A response for `run` has not moved for longer than its client's own speed explains: the pieces
  /// go to the next who asks, and the client is not the first to be named as a source.
  package mutating func originStalled(
    _ run: PieceRun, of id: PackageID, to peer: PeerID, now: Instant
  ) {
    guard let tableIndex = tableIndices[id], let slot = slots[peer],
      let index = tables[tableIndex]!.index(of: slot)
    else { return }
    tables[tableIndex]!.yield(run, at: index)
    peers[Int(slot)]!.demotedUntil = now + limits.demotionTime
    standings[Int(slot)] = peers[Int(slot)]!.standing
  }

  /// A connection of this peer has shown that it is kept between requests.
  /// False when the tracker does not know the peer.
  package mutating func connected(_ peer: PeerID) -> Bool {
    guard let slot = slots[peer] else { return false }
    peers[Int(slot)]!.connectionCount += 1
    return true
  }

  /// Such a connection has ended. With the last one the peer is taken to be gone until it speaks
  /// again: what is leased to it goes to the next who asks, and what it holds is nowhere.
  package mutating func disconnected(_ peer: PeerID) {
    guard let slot = slots[peer], peers[Int(slot)]!.connectionCount > 0 else { return }
    peers[Int(slot)]!.connectionCount -= 1
    guard peers[Int(slot)]!.connectionCount == 0 else { return }
    let wasServing = peers[Int(slot)]!.isServing
    peers[Int(slot)]!.isAway = true
    if wasServing { recount(slot) } else { yieldLeases(slot) }
  }

  /// Somebody calls the peer dead or stalled, and the origin has no connection that says otherwise.
  mutating func yieldIfGone(_ peer: PeerID) {
    guard let slot = slots[peer], peers[Int(slot)]!.connectionCount == 0 else { return }
    yieldLeases(slot)
  }

  private mutating func yieldLeases(_ slot: UInt32) {
    for table in peers[Int(slot)]!.memberships {
      guard let index = tables[Int(table)]?.index(of: slot) else { continue }
      tables[Int(table)]!.yieldLeases(at: index)
    }
  }

  mutating func moveSite(_ slot: UInt32) {
    let key = peers[Int(slot)]!.siteKey
    for table in peers[Int(slot)]!.memberships {
      guard let index = tables[Int(table)]?.index(of: slot) else { continue }
      tables[Int(table)]!.setSite(key, at: index)
    }
  }
}
