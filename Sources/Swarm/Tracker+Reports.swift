package import Content

/// What others say of a peer.
extension Tracker {
  /// What arrived says more of a line than what was handed to a kernel, so the origin's own
  /// responses are measured at their other end too.
  mutating func take(
    _ delivery: Delivery, hash: UInt64, from reporter: UInt32, tableIndex: Int, now: Instant
  ) {
    let rate = byteRate(byteCount: delivery.byteCount, duration: delivery.duration)
    if delivery.source.isOrigin {
      guard let rate else { return }
      peers[Int(reporter)].originRate = smoothed(peers[Int(reporter)].originRate, rate)
      return
    }
    guard let slot = slot(of: delivery.source, hash: hash), slot != reporter else { return }
    // For the lists of the most used: nothing is decided by it.
    let byteCount = min(delivery.byteCount, tables[tableIndex].geometry.byteCount)
    peers[Int(slot)].delivered(
      byteCount, to: reporter, rate: rate, now: now, term: limits.measurementTerm)
    if let rate {
      if !peers[Int(slot)].flags.isDisjoint(with: [.isMarked, .isDown]) { raise(slot) }
      servedRate = smoothed(servedRate, rate)
    }
    tables[tableIndex].peerByteCount &+= byteCount
    peerByteCount &+= byteCount
  }

  /// Whatever was said of it, it can be reached.
  private mutating func raise(_ slot: UInt32) {
    if peers[Int(slot)].flags.contains(.isMarked) { marks[slot]?.deadReports = [] }
    guard peers[Int(slot)].flags.contains(.isDown) else { return }
    peers[Int(slot)].flags.remove(.isDown)
    recount(slot)
  }

  mutating func take(
    _ complaint: Complaint, from reporter: UInt32, tableIndex: Int, now: Instant
  ) {
    complaintCount &+= 1
    guard let slot = slot(of: complaint.source), slot != reporter,
      !peers[Int(reporter)].flags.contains(.isSuspended),
      let member = tables[tableIndex].index(of: slot)
    else { return }
    // A piece it does not claim to hold is none it can be asked for.
    let holdsIt = tables[tableIndex].holds(complaint.piece, at: member)
    let piece = holdsIt ? complaint.piece : tables[tableIndex].held(member).first(from: 0)
    let answer = piece.map { ask(slot, for: $0, of: tables[tableIndex].id, now: now) } ?? .none
    switch complaint.kind {
    case .corrupt:
      reputation.accuse(
        complaint.source, by: peers[Int(reporter)].id, at: siteName(of: reporter),
        until: now + limits.corruptPenalty, finding: Reputation.Finding(answer))
      for accused in reputation.accused(by: peers[Int(reporter)].id) { reconsider(accused) }
    case .dead:
      demote(slot, by: reporter, now: now)
      guard answer == .none else { return }
      let (site, countMax) = (siteName(of: reporter), limits.deadReportCountMax)
      var isDead = false
      mark(slot, now: now) { isDead = $0.reportDead(by: site, countMax: countMax) }
      if isDead { takeDown(slot, now: now) }
    case .stalled:
      demote(slot, by: reporter, now: now)
    }
  }

  private mutating func ask(
    _ slot: UInt32, for piece: PieceIndex, of id: PackageID, now: Instant
  ) -> CheckQueue.Answer {
    let peer = peers[Int(slot)]
    guard limits.checksSources, peer.endpoint.port != 0 else { return .none }
    return checks.add(
      SourceCheck(
        peer: peer.id, endpoint: peer.endpoint, package: id, piece: piece,
        speaksTLS: peer.flags.contains(.speaksTLS)),
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
    guard let slot = slot(of: check.peer) else { return }
    if outcome == .unreachable { takeDown(slot, now: now) } else { raise(slot) }
  }

  private mutating func takeDown(_ slot: UInt32, now: Instant) {
    let wasServing = peers[Int(slot)].isServing
    peers[Int(slot)].flags.insert(.isDown)
    let until = now + limits.unreachableTime
    mark(slot, now: now) { $0.downUntil = until }
    if wasServing { recount(slot) }
  }

  private mutating func demote(_ slot: UInt32, by reporter: UInt32, now: Instant) {
    let until = now + limits.demotionTime
    mark(slot, now: now) { $0.demotedUntil = until }
    mark(reporter, now: now) { $0.shun(slot, until: until, now: now) }
  }

  /// Where a peer is, for counting sites: its label, else its network.
  private func siteName(of slot: UInt32) -> String {
    let peer = peers[Int(slot)]
    let isLabelled = peer.site != SiteLabels.none
    return isLabelled ? labels.text(peer.site) : "\(peer.endpoint.address.site)"
  }

  /// Suspends or reinstates a peer after the accusations changed.
  mutating func reconsider(_ peer: PeerID) {
    guard let slot = slot(of: peer) else { return }
    var endorserCount = 0
    peers[Int(slot)].forEachEndorser { endorser in
      let endorser = peers[Int(endorser)]
      if endorser.isPresent, !reputation.accuses(endorser.id, peer) { endorserCount += 1 }
    }
    let isSuspended = reputation.isSuspended(peer, endorserCount: endorserCount)
    guard peers[Int(slot)].flags.contains(.isSuspended) != isSuspended else { return }
    peers[Int(slot)].set(.isSuspended, isSuspended)
    if isSuspended {
      suspendedSlots.append(slot)
    } else {
      suspendedSlots.removeAll { $0 == slot }
    }
    recount(slot)
  }

  /// Members of a package that nobody is to take anything from.
  func suspended(in tableIndex: Int) -> [PeerID] {
    var found: [PeerID] = []
    for slot in suspendedSlots where tables[tableIndex].index(of: slot) != nil {
      found.append(peers[Int(slot)].id)
      if found.count >= PackageReferral.suspendedCountMax { break }
    }
    return found
  }
}
