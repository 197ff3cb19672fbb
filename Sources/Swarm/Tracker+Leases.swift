package import Content

/// What the origin sends itself, to whom, and when that is over.
extension Tracker {
  mutating func lease(
    _ report: PackageReport, slot: UInt32, tableIndex: Int, index: Int, now: Instant
  ) -> [Lease] {
    guard report.wantedPieceCount > 0 else { return [] }
    if isSmall(tableIndex),
      let lease = leaseWhole(slot: slot, tableIndex: tableIndex, index: index, now: now)
    {
      return [lease]
    }
    let originRate = peers[Int(slot)].originRate
    let room = room(report, originRate: originRate, tableIndex: tableIndex, index: index)
    // Whoever comes for the first time knows nobody: that is no reason to crowd the origin's line.
    let isLost = report.isStarving && tables[tableIndex].members[index].toldMemberCount > 0
    guard room.pieceCount > 0 || isLost else { return [] }
    let term = term(tableIndex: tableIndex, index: index, originRate: originRate)
    let request = LeaseRequest(
      wantedPieceCount: report.wantedPieceCount,
      reachable: report.isStarving ? reachable(from: slot, tableIndex: tableIndex, now: now) : nil,
      byteRate: originRate, originByteRate: sendRate, roomPieceCount: room.pieceCount,
      queueShare: room.queueShare,
      isSlow: isSlow(report, originRate: originRate, tableIndex: tableIndex, index: index),
      repeatPieceCount: repeatPieceCount(tableIndex: tableIndex), deadline: now + term, now: now)
    let runs = tables[tableIndex].lease(request, at: index)
    if runs.isEmpty { return [] }
    scheduleLeases(slot, tableIndex: tableIndex, at: now + term)
    return runs.map { Lease(run: $0, term: term) }
  }

  /// What the origin may still promise within its target period, and how much of that is promised.
  private func room(
    _ report: PackageReport, originRate: Int, tableIndex: Int, index: Int
  ) -> (pieceCount: Int, queueShare: Double) {
    let pieceByteCount = tables[tableIndex].geometry.pieceByteCount
    let isLarge = tables[tableIndex].members.count >= limits.largeMemberCount
    let period = ServicePolicy.period(
      byteCount: pieceByteCount, lineByteRate: max(originRate, report.peerByteRate),
      base: isLarge ? limits.largeLeasePeriod : limits.targetPeriod)
    var byteCountMax = max(
      limits.leasedByteCountMin, limits.leasedPieceCountMin * pieceByteCount,
      Int(Double(sendRate) * period.seconds))
    var promisedPieceCount = tables[tableIndex].unsentPieceCount
    if limits.originByteRate == nil, tables[tableIndex].isAloneAsker(index) {
      // An origin that had little to do was seen to send little. What it sends to this member says
      // more, but is at first the beginning of a burst: the room doubles with what the member got,
      // as the first of a crowd is alone too. Nobody else waits for what is on its way to it.
      let givenByteCount =
        (tables[tableIndex].members[index].heldCount + tables[tableIndex].leasedPieceCount)
        * pieceByteCount
      byteCountMax = max(
        byteCountMax, min(Int(Double(originRate) * period.seconds), givenByteCount))
      promisedPieceCount = tables[tableIndex].outstandingLeasedCount(index)
    }
    let promisedByteCount = promisedPieceCount * pieceByteCount + originBacklogByteCount
    return (
      (byteCountMax - promisedByteCount) / pieceByteCount,
      Double(promisedByteCount) / Double(max(1, byteCountMax))
    )
  }

  func isSmall(_ tableIndex: Int) -> Bool {
    tables[tableIndex].geometry.byteCount <= limits.smallPackageByteCountMax
  }

  /// All of a small package, to whoever asks for the first time while the origin can send it within
  /// its target period. Members whose site brings pieces in together, and those that the operator's
  /// budget does not reach, get it the normal way.
  private mutating func leaseWhole(
    slot: UInt32, tableIndex: Int, index: Int, now: Instant
  ) -> Lease? {
    let geometry = tables[tableIndex].geometry
    let member = tables[tableIndex].members[index]
    guard member.heldCount == 0, member.leases.isEmpty, !tables[tableIndex].staysNear(index),
      repeatPieceCount(tableIndex: tableIndex).map({ $0 >= geometry.pieceCount }) ?? true
    else { return nil }
    let sentInPeriod = Int(Double(sendRate) * limits.targetPeriod.seconds)
    let leasedByteCount =
      tables[tableIndex].leasedPieceCount * min(geometry.pieceByteCount, geometry.byteCount)
    guard
      originBacklogByteCount + leasedByteCount + geometry.byteCount
        <= max(sentInPeriod, limits.smallLeasedByteCountMin)
    else { return nil }
    let originRate = peers[Int(slot)].originRate
    let term = term(tableIndex: tableIndex, index: index, originRate: originRate)
    let run = PieceRun(first: PieceIndex(0), count: geometry.pieceCount)
    tables[tableIndex].addLease(LeaseRecord(run: run, deadline: now + term), at: index)
    scheduleLeases(slot, tableIndex: tableIndex, at: now + term)
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
    if tables[tableIndex].isFull(index) { return true }
    let pieceCount = tables[tableIndex].pieceCount
    if report.wantedPieceCount > 0 { return leases.first?.run.count == pieceCount }
    return tables[tableIndex].members[index].leases.contains {
      $0.run.count == pieceCount && $0.deadline > now
    }
  }

  /// Bytes a second that the origin can send: what the operator allows, else what was measured.
  private var sendRate: Int { limits.originByteRate ?? originMeter.byteRate }

  /// The peers of this member would let it wait, and the origin would not.
  private func isSlow(
    _ report: PackageReport, originRate: Int, tableIndex: Int, index: Int
  ) -> Bool {
    let missing = tables[tableIndex].pieceCount - tables[tableIndex].members[index].heldCount
    let known = report.peerByteRate
    return ServicePolicy.helps(
      missingByteCount: missing * tables[tableIndex].geometry.pieceByteCount,
      peerByteRate: known > 0 ? known : expectedByteRate(tableIndex: tableIndex, index: index),
      originByteRate: originRate > 0 ? originRate : limits.originByteRate ?? 0,
      period: limits.targetPeriod)
  }

  /// What the holders together should send a newcomer, from what others measured of them; 0 when it
  /// is not known of all.
  private func expectedByteRate(tableIndex: Int, index: Int) -> Int {
    let memberCount = tables[tableIndex].members.count
    guard memberCount <= limits.sampleCountMax else { return 0 }
    var sum = 0
    for other in 0..<memberCount
    where other != index && tables[tableIndex].members[other].isCounted
      && tables[tableIndex].members[other].heldCount > 0
    {
      let peer = peers[Int(tables[tableIndex].members[other].slot)]
      let rate = max(peer.servedRate, min(peer.uploads.byteRate, 1 << 40))
      guard rate > 0 else { return 0 }
      sum += rate
    }
    return sum / max(1, tables[tableIndex].askerCount)
  }

  /// How many pieces may be sent again under the operator's budget; nil without one.
  private func repeatPieceCount(tableIndex: Int) -> Int? {
    guard let copies = limits.originCopiesMax else { return nil }
    let pieceByteCount = tables[tableIndex].geometry.pieceByteCount
    return ServicePolicy.repeatableByteCount(
      copies: copies, byteCount: tables[tableIndex].geometry.byteCount,
      sentByteCount: tables[tableIndex].swarmByteCount,
      promisedByteCount: tables[tableIndex].leasedPieceCount * pieceByteCount,
      freshByteCount: tables[tableIndex].unheld.count * pieceByteCount) / pieceByteCount
  }

  /// A second; four times what the member's own line needs for all it was given; and what the
  /// origin needs for all that is promised.
  private func term(tableIndex: Int, index: Int, originRate: Int) -> Duration {
    let pieceByteCount = tables[tableIndex].geometry.pieceByteCount
    let ownPieceCount = tables[tableIndex].members[index].leases.reduce(4) { $0 + $1.run.count }
    let all = (tables[tableIndex].leasedPieceCount + 4) * pieceByteCount
    let ownRate = Double(max(originRate > 0 ? originRate : sendRate, 128 << 10))
    let rate = Double(max(sendRate, originRate, 128 << 10))
    let expected = max(Double(ownPieceCount * pieceByteCount) / ownRate, Double(all) / rate)
    let term = Duration.seconds(1) + .nanoseconds(Int64(min(expected * 4, 3_600) * 1e9))
    return min(max(term, limits.leaseTerm.lowerBound), limits.leaseTerm.upperBound)
  }

  /// What the sources that are of use to a member hold together; in a large swarm, some of them.
  private func reachable(from slot: UInt32, tableIndex: Int, now: Instant) -> PieceSet {
    let marks = marks(of: slot)
    var union = PieceSet(pieceCount: tables[tableIndex].pieceCount)
    for index in tables[tableIndex].members.indices.prefix(limits.reachableCountMax) {
      let other = tables[tableIndex].members[index].slot
      guard tables[tableIndex].members[index].isCounted, other != slot,
        marks?.shuns(other, now: now) != true
      else { continue }
      union.formUnion(tables[tableIndex].held(index))
      if union.isFull { break }
    }
    return union
  }

  /// What the member brings into its site.
  mutating func crossings(
    _ report: PackageReport, slot: UInt32, tableIndex: Int, index: Int, now: Instant
  ) -> [Lease] {
    guard report.wantedPieceCount > 0 else { return [] }
    let term = limits.crossingTerm
    let runs = tables[tableIndex].cross(
      wantedPieceCount: report.wantedPieceCount, byteRate: report.peerByteRate,
      deadline: now + term, at: index)
    if runs.isEmpty { return [] }
    scheduleLeases(slot, tableIndex: tableIndex, at: now + term)
    return runs.map { Lease(run: $0, term: term) }
  }

  // MARK: What the origin's shell tells

  /// A member asks for bytes of `run`. False when they would exceed the operator's budget: others
  /// have the pieces, and they are not leased to it. When true, `originSent` tells how it ended.
  package mutating func originStarts(
    _ run: PieceRun, of id: PackageID, to peer: PeerID, byteCount: Int, now: Instant
  ) -> Bool {
    guard let tableIndex = tableIndices[id], tables[tableIndex].geometry.contains(run) else {
      return true
    }
    if !mayStart(run, tableIndex: tableIndex, peer: peer, byteCount: byteCount) { return false }
    tables[tableIndex].swarmByteCount += max(0, byteCount)
    return true
  }

  private mutating func mayStart(
    _ run: PieceRun, tableIndex: Int, peer: PeerID, byteCount: Int
  ) -> Bool {
    guard let repeatCount = repeatPieceCount(tableIndex: tableIndex) else { return true }
    let index = slot(of: peer).flatMap { tables[tableIndex].index(of: $0) }
    let pieceByteCount = tables[tableIndex].geometry.pieceByteCount
    var covered = PieceSet(pieceCount: tables[tableIndex].pieceCount)
    var fetched: [(number: Int, byteCount: Int)] = []
    let leases = index.map { tables[tableIndex].members[$0].leases } ?? []
    for (number, lease) in leases.enumerated()
    where lease.fetchedByteCount < lease.run.count * pieceByteCount {
      let common = lease.run.indices.clamped(to: run.indices)
      guard !common.isEmpty else { continue }
      covered.insert(PieceRun(first: PieceIndex(common.lowerBound), count: common.count))
      fetched.append((number, common.count * pieceByteCount))
    }
    let repeated = run.pieces.reduce(0) { count, piece in
      let isOut =
        tables[tableIndex].holderCount(of: piece) > 0
        || tables[tableIndex].leaseCount(of: piece) > 0
      return count + (isOut && !covered.contains(piece) ? 1 : 0)
    }
    guard repeated <= repeatCount else { return false }
    if let index {
      for (number, byteCount) in fetched {
        tables[tableIndex].noteFetched(byteCount, ofLease: number, at: index)
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
    tables[tableIndex].originByteCount += max(0, byteCount)
    guard let peer else { return }
    tables[tableIndex].swarmByteCount -= max(0, unsentByteCount)
    guard let slot = slot(of: peer), let index = tables[tableIndex].index(of: slot) else { return }
    if isComplete {
      tables[tableIndex].noteSent(run, at: index)
    } else {
      tables[tableIndex].yield(run, at: index)
    }
  }

  /// A response for `run` has not moved for longer than its client's own speed explains: the pieces
  /// go to the next who asks, and the client is not the first to be named as a source.
  package mutating func originStalled(
    _ run: PieceRun, of id: PackageID, to peer: PeerID, now: Instant
  ) {
    guard let tableIndex = tableIndices[id], let slot = slot(of: peer),
      let index = tables[tableIndex].index(of: slot)
    else { return }
    tables[tableIndex].yield(run, at: index)
    let until = now + limits.demotionTime
    mark(slot, now: now) { $0.demotedUntil = until }
  }

  /// A connection of this peer has shown that it is kept between requests.
  /// False when the tracker does not know the peer, or knows it at another address: whoever claims
  /// the name of another could end that one's leases by closing.
  package mutating func connected(_ peer: PeerID, from address: IPAddress) -> Bool {
    guard let slot = slot(of: peer), peers[Int(slot)].endpoint.address == address else {
      return false
    }
    peers[Int(slot)].connectionCount += 1
    return true
  }

  /// Such a connection has ended. With the last one the peer is taken to be gone until it speaks
  /// again: what is leased to it goes to the next who asks, and what it holds is nowhere.
  package mutating func disconnected(_ peer: PeerID) {
    guard let slot = slot(of: peer), peers[Int(slot)].connectionCount > 0 else { return }
    peers[Int(slot)].connectionCount -= 1
    guard peers[Int(slot)].connectionCount == 0 else { return }
    let wasServing = peers[Int(slot)].isServing
    peers[Int(slot)].flags.insert(.isAway)
    if wasServing { recount(slot) } else { yieldLeases(slot) }
  }

  /// Somebody calls the peer dead or stalled, and the origin has no connection that says otherwise.
  mutating func yieldIfGone(_ peer: PeerID) {
    guard let slot = slot(of: peer), peers[Int(slot)].connectionCount == 0 else { return }
    yieldLeases(slot)
  }

  private mutating func yieldLeases(_ slot: UInt32) {
    forEachMembership(of: slot) { $0.yieldLeases(at: $1) }
  }
}
