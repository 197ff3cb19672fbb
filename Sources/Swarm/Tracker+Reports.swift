import Content

/// What others say of a peer.
extension Tracker {
  /// What arrived says more of a line than what was handed to a kernel, so the origin's own
  /// responses are measured at their other end too.
  mutating func take(_ delivery: Delivery, from reporter: UInt32) {
    guard let rate = byteRate(byteCount: delivery.byteCount, duration: delivery.duration) else {
      return
    }
    if delivery.source.isOrigin {
      peers[Int(reporter)]!.originRate = smoothed(peers[Int(reporter)]!.originRate, rate)
    }
    guard let slot = slots[delivery.source], slot != reporter else { return }
    peers[Int(slot)]!.servedRate = smoothed(peers[Int(slot)]!.servedRate, rate)
    peers[Int(slot)]!.isProven = true
    if peers[Int(slot)]!.isDown {
      peers[Int(slot)]!.isDown = false
      recount(slot)
    }
    servedRate = smoothed(servedRate, rate)
  }

  mutating func take(
    _ complaint: Complaint, from reporter: UInt32, tableIndex: Int, now: Instant
  ) {
    complaintCount &+= 1
    guard let slot = slots[complaint.source], slot != reporter, let peer = peers[Int(reporter)],
      tables[tableIndex]?.index(of: slot) != nil, !peer.isSuspended
    else { return }
    switch complaint.kind {
    case .corrupt:
      reputation.accuse(complaint.source, by: peer.id, until: now + limits.corruptPenalty)
      for accused in reputation.accused(by: peer.id) { reconsider(accused) }
    case .dead:
      demote(slot, by: reporter, now: now)
      if let first = peers[Int(slot)]!.deadReporter, first != peer.id {
        let wasServing = peers[Int(slot)]!.isServing
        peers[Int(slot)]!.isDown = true
        peers[Int(slot)]!.downUntil = now + limits.unreachableTime
        if wasServing { recount(slot) }
      }
      peers[Int(slot)]!.deadReporter = peer.id
    case .stalled:
      demote(slot, by: reporter, now: now)
    }
  }

  private mutating func demote(_ slot: UInt32, by reporter: UInt32, now: Instant) {
    let until = now + limits.demotionTime
    peers[Int(slot)]!.demotedUntil = until
    peers[Int(reporter)]!.shun(slot, until: until, now: now)
  }

  /// Suspends or reinstates a peer after the accusations changed.
  mutating func reconsider(_ peer: PeerID) {
    guard let slot = slots[peer] else { return }
    let isSuspended = reputation.isSuspended(peer)
    guard peers[Int(slot)]!.isSuspended != isSuspended else { return }
    peers[Int(slot)]!.isSuspended = isSuspended
    recount(slot)
  }

  package func snapshot() -> TrackerSnapshot {
    var snapshot = TrackerSnapshot()
    snapshot.peerCount = slots.count
    snapshot.suspendedPeerCount = peers.reduce(0) { $0 + ($1?.isSuspended == true ? 1 : 0) }
    snapshot.announceCount = announceCount
    snapshot.complaintCount = complaintCount
    snapshot.packages = tables.compactMap { $0.map(Self.snapshot(of:)) }
    snapshot.packages.sort { $0.package < $1.package }
    return snapshot
  }

  private static func snapshot(of table: PackageTable) -> PackageSnapshot {
    var snapshot = PackageSnapshot(package: table.id)
    snapshot.pieceCount = table.geometry.pieceCount
    snapshot.memberCount = table.members.count
    snapshot.seedCount = table.members.reduce(0) { $0 + ($1.held.isFull ? 1 : 0) }
    snapshot.heldPieceCount = table.heldPieceCount
    snapshot.leasedPieceCount = table.leasedPieceCount
    snapshot.originByteCount = table.originByteCount
    snapshot.originCopies =
      Double(table.originByteCount) / Double(max(1, table.geometry.byteCount))
    snapshot.announceCount = table.announceCount
    return snapshot
  }
}
