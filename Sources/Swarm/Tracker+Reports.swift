package import Content

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
    standings[Int(slot)] = peers[Int(slot)]!.standing
    peers[Int(slot)]!.isProven = true
    peers[Int(slot)]!.endorse(reporter)
    raise(slot)
    servedRate = smoothed(servedRate, rate)
  }

  /// Whatever was said of it, it can be reached.
  private mutating func raise(_ slot: UInt32) {
    peers[Int(slot)]!.deadReports = []
    guard peers[Int(slot)]!.isDown else { return }
    peers[Int(slot)]!.isDown = false
    recount(slot)
  }

  mutating func take(
    _ complaint: Complaint, from reporter: UInt32, tableIndex: Int, now: Instant
  ) {
    complaintCount &+= 1
    guard let slot = slots[complaint.source], slot != reporter, let peer = peers[Int(reporter)],
      let member = tables[tableIndex]?.index(of: slot), !peer.isSuspended
    else { return }
    // A piece it does not claim to hold is none it can be asked for.
    let held = tables[tableIndex]!.members[member].held
    let piece = held.contains(complaint.piece) ? complaint.piece : held.first(from: 0)
    let answer = piece.map { ask(slot, for: $0, of: tables[tableIndex]!.id, now: now) } ?? .none
    switch complaint.kind {
    case .corrupt:
      reputation.accuse(
        complaint.source, by: peer.id, at: peer.siteName, until: now + limits.corruptPenalty,
        finding: Reputation.Finding(answer))
      for accused in reputation.accused(by: peer.id) { reconsider(accused) }
    case .dead:
      demote(slot, by: reporter, now: now)
      if answer == .none,
        peers[Int(slot)]!.reportDead(by: peer.siteName, countMax: limits.deadReportCountMax)
      {
        takeDown(slot, now: now)
      }
    case .stalled:
      demote(slot, by: reporter, now: now)
    }
  }

  private mutating func ask(
    _ slot: UInt32, for piece: PieceIndex, of id: PackageID, now: Instant
  ) -> CheckQueue.Answer {
    guard limits.checksSources, let peer = peers[Int(slot)], peer.endpoint.port != 0 else {
      return .none
    }
    return checks.add(
      SourceCheck(
        peer: peer.id, endpoint: peer.endpoint, package: id, piece: piece,
        speaksTLS: peer.speaksTLS),
      now: now)
  }

  /// The next question for the shell, which answers it with `checked`; nil when there is none or
  /// enough are under way.
  package mutating func takeCheck() -> SourceCheck? { checks.next() }

  /// What the accused sent when the origin asked.
  package mutating func checked(
    _ check: SourceCheck, _ outcome: SourceCheck.Outcome, now: Instant
  ) {
    guard checks.finish(check, outcome, now: now) else { return }
    checkCount &+= 1
    switch outcome {
    case .right: reputation.find(.refuted, of: check.peer)
    case .wrong: reputation.convict(check.peer, until: now + limits.corruptPenalty)
    case .unanswered, .unreachable: reputation.find(.unanswered, of: check.peer)
    }
    reconsider(check.peer)
    guard let slot = slots[check.peer] else { return }
    if outcome == .unreachable { takeDown(slot, now: now) } else { raise(slot) }
  }

  private mutating func takeDown(_ slot: UInt32, now: Instant) {
    let wasServing = peers[Int(slot)]!.isServing
    peers[Int(slot)]!.isDown = true
    peers[Int(slot)]!.downUntil = now + limits.unreachableTime
    if wasServing { recount(slot) }
  }

  private mutating func demote(_ slot: UInt32, by reporter: UInt32, now: Instant) {
    let until = now + limits.demotionTime
    peers[Int(slot)]!.demotedUntil = until
    standings[Int(slot)] = peers[Int(slot)]!.standing
    peers[Int(reporter)]!.shun(slot, until: until, now: now)
  }

  /// Suspends or reinstates a peer after the accusations changed.
  mutating func reconsider(_ peer: PeerID) {
    guard let slot = slots[peer] else { return }
    let endorserCount = peers[Int(slot)]!.endorsers.reduce(0) { count, endorser in
      guard let id = peers[Int(endorser)]?.id else { return count }
      return reputation.accuses(id, peer) ? count : count + 1
    }
    let isSuspended = reputation.isSuspended(peer, endorserCount: endorserCount)
    guard peers[Int(slot)]!.isSuspended != isSuspended else { return }
    peers[Int(slot)]!.isSuspended = isSuspended
    suspendedCount += isSuspended ? 1 : -1
    recount(slot)
  }

  /// Members of a package that nobody is to take anything from.
  func suspended(in tableIndex: Int) -> [PeerID] {
    guard suspendedCount > 0, let table = tables[tableIndex] else { return [] }
    var found: [PeerID] = []
    for member in table.members {
      guard let peer = peers[Int(member.slot)], peer.isSuspended else { continue }
      found.append(peer.id)
      if found.count >= PackageReferral.suspendedCountMax { break }
    }
    return found
  }
}
