package import Content
import HeapModule

/// The origin's look-up table: who holds which piece, how busy, how near; which piece goes out next
/// and to whom. Soft state: a new tracker asks every peer for its whole bitmap and knows as much as
/// the old one. A value without clock or chance of its own.
package struct Tracker: Sendable {
  package let limits: TrackerLimits
  /// What the origin itself is sending now, told by its shell: shown in the referrals.
  package var originLoad = UploadLoad(active: 0, limit: 0, byteRate: 0)
  /// What the origin has promised to clients that are not of the swarm, told by its shell: the
  /// beginnings of their responses, as `OriginRoom` counts them.
  package var originBacklogByteCount = 0

  var tables: [PackageTable?] = []
  var tableIndices: [PackageID: Int] = [:]
  private var freeTables: [Int] = []
  var peers: [PeerRecord?] = []
  var standings: [PeerStanding] = []
  var slots: [PeerID: UInt32] = [:]
  private var freeSlots: [UInt32] = []
  private var generation: UInt32 = 0
  private var deadlines = Heap<Deadline>()
  private var deadlineCount: UInt64 = 0
  var reputation: Reputation
  var originMeter = OriginMeter()
  var announceCount: UInt64 = 0
  /// Bytes that peers were reported to have sent each other.
  var peerByteCount = 0
  var complaintCount: UInt64 = 0
  var checkCount: UInt64 = 0
  var checks = CheckQueue()
  /// Peers in the table that are suspended.
  var suspendedCount = 0
  /// Mean speed of uploads between peers, bytes a second: what the slow are slow against.
  var servedRate = 0

  package init(limits: TrackerLimits = TrackerLimits()) {
    self.limits = limits
    reputation = Reputation(soleAccusationCountMax: limits.soleAccusationCountMax)
  }

  /// Makes the package known. Registering it again changes nothing.
  package mutating func register(_ id: PackageID, _ geometry: Geometry) {
    guard tableIndices[id] == nil, tableIndices.count < limits.packageCountMax else { return }
    let table = PackageTable(id: id, geometry: geometry)
    if let index = freeTables.popLast() {
      tables[index] = table
      tableIndices[id] = index
    } else {
      tableIndices[id] = tables.count
      tables.append(table)
    }
  }

  /// Forgets the package and what is known of its holders.
  package mutating func withdraw(_ id: PackageID) {
    guard let index = tableIndices.removeValue(forKey: id), let table = tables[index] else {
      return
    }
    for member in table.members {
      peers[Int(member.slot)]?.memberships.removeAll { $0 == UInt32(index) }
    }
    tables[index] = nil
    freeTables.append(index)
  }

  package func knows(_ id: PackageID) -> Bool { tableIndices[id] != nil }

  /// Takes a peer's report and answers it. The peer is reachable at `address`, where its connection
  /// came from, and the port it claims. Packages that are not registered, or reported with another
  /// piece count, are left out of the answer.
  package mutating func announce(
    _ announce: Announce, from address: IPAddress, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Referral {
    announceCount &+= 1
    expire(now: now)
    guard !announce.peer.isOrigin else { return Referral(interval: interval, packages: []) }
    if announce.isLeaving {
      if let slot = slots[announce.peer] { drop(slot) }
      return Referral(interval: interval, packages: [])
    }
    guard let slot = admit(announce, from: address, now: now) else {
      let parts = announce.reports.compactMap {
        sources(of: $0.package, for: address, site: announce.site, now: now, rng: &rng)
      }
      return Referral(interval: interval, packages: parts)
    }
    var parts: [PackageReferral] = []
    for report in announce.reports.prefix(Announce.reportCountMax) {
      guard let tableIndex = tableIndices[report.package],
        tables[tableIndex]?.geometry.pieceCount == report.pieceCount
      else { continue }
      parts.append(take(report, slot: slot, tableIndex: tableIndex, now: now, rng: &rng))
    }
    return Referral(interval: interval, packages: parts)
  }

  /// How often to report: the more peers, the less often.
  private var interval: Duration {
    let seconds = Duration.seconds(slots.count / max(1, limits.peersPerSecond))
    return min(max(seconds, limits.interval.lowerBound), limits.interval.upperBound)
  }

  private var silenceMax: Duration {
    interval * limits.missedIntervalCountMax + .seconds(1)
  }

  /// The announcer's slot, brought up to date; nil when the table is full.
  private mutating func admit(
    _ announce: Announce, from address: IPAddress, now: Instant
  ) -> UInt32? {
    let endpoint = Endpoint(address: address.unmapped, port: announce.port)
    let deadline = now + silenceMax
    if let slot = slots[announce.peer], var peer = peers[Int(slot)] {
      let wasServing = peer.isServing
      let hasMoved = peer.move(to: endpoint, site: announce.site)
      peer.uploads = announce.uploads
      peer.speaksTLS = announce.speaksTLS
      peer.deadline = deadline
      if peer.isProven || peer.isDown && peer.downUntil <= now {
        peer.isDown = false
        peer.deadReports = []
      }
      peer.isAway = false
      peers[Int(slot)] = peer
      standings[Int(slot)] = peer.standing
      if hasMoved { moveSite(slot) }
      if peer.isServing != wasServing { recount(slot) }
      return slot
    }
    guard slots.count < limits.peerCountMax else { return nil }
    generation &+= 1
    var peer = PeerRecord(
      id: announce.peer, generation: generation, endpoint: endpoint, site: announce.site,
      uploads: announce.uploads, deadline: deadline)
    peer.speaksTLS = announce.speaksTLS
    peer.isSuspended = reputation.isSuspended(announce.peer, endorserCount: 0)
    if peer.isSuspended { suspendedCount += 1 }
    let slot = freeSlots.popLast() ?? UInt32(peers.count)
    if Int(slot) == peers.count {
      peers.append(peer)
      standings.append(peer.standing)
    } else {
      peers[Int(slot)] = peer
      standings[Int(slot)] = peer.standing
    }
    slots[announce.peer] = slot
    schedule(.peer, slot: slot, at: deadline)
    return slot
  }

  private mutating func take(
    _ report: PackageReport, slot: UInt32, tableIndex: Int, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> PackageReferral {
    tables[tableIndex]!.announceCount &+= 1
    let isServing = peers[Int(slot)]!.isServing
    let index: Int
    let known = tables[tableIndex]!.index(of: slot)
    if let known {
      index = known
    } else {
      index = tables[tableIndex]!.join(
        slot: slot, isServing: isServing, site: peers[Int(slot)]!.siteKey)
      peers[Int(slot)]!.memberships.append(UInt32(tableIndex))
    }
    switch report.holdings {
    case .whole(let held):
      if held.pieceCount == report.pieceCount {
        tables[tableIndex]!.replaceHoldings(held, at: index)
      }
    case .changes(let gained, let evicted):
      tables[tableIndex]!.change(gained: gained, evicted: evicted, at: index)
    }
    for delivery in report.deliveries.prefix(PackageReport.deliveryCountMax) {
      take(delivery, from: slot)
      noteUse(delivery, by: slot, tableIndex: tableIndex)
    }
    for complaint in report.complaints.prefix(PackageReport.complaintCountMax) {
      take(complaint, from: slot, tableIndex: tableIndex, now: now)
      yieldIfGone(complaint.source)
    }
    var part = PackageReferral(package: report.package, pieceCount: report.pieceCount)
    part.wantsWhole = !tables[tableIndex]!.members[index].isKnown
    if !part.wantsWhole {
      part.leases = lease(report, slot: slot, tableIndex: tableIndex, now: now)
      part.staysNear = tables[tableIndex]!.staysNear(index)
      part.crossings = crossings(report, slot: slot, tableIndex: tableIndex, now: now)
    }
    part.suspended = suspended(in: tableIndex)
    if isServedAlone(
      report, part.leases, isNew: known == nil, tableIndex: tableIndex, index: index, now: now)
    {
      return part
    }
    // Not among the arguments below: a change in the middle of a call would copy the whole table.
    let sourceCount = tables[tableIndex]!.sourceCount(
      for: index, isStarving: report.isStarving, limits)
    part.sources = rankedSources(
      tableIndex: tableIndex, near: standings[Int(slot)].place, except: slot,
      countMax: sourceCount, now: now, rng: &rng)
    part.promises = promises(slot: slot, tableIndex: tableIndex, now: now)
    nameHolders(in: &part, slot: slot, tableIndex: tableIndex, now: now, rng: &rng)
    return part
  }

  private func promises(slot: UInt32, tableIndex: Int, now: Instant) -> [Promise] {
    guard let index = tables[tableIndex]?.index(of: slot), !tables[tableIndex]!.grants.isEmpty
    else {
      return []
    }
    return tables[tableIndex]!.promised(to: tables[tableIndex]!.members[index]).compactMap {
      grant in
      guard let holder = peers[Int(grant.slot)], holder.isServing else { return nil }
      return Promise(
        holder: holder.id, run: grant.run,
        expected: max(.milliseconds(1), grant.expected - now))
    }
  }

  /// Drops the peers and leases whose time is over. Each announce does it too; the shell calls it
  /// about once a second so that a silent table empties.
  package mutating func expire(now: Instant) {
    while let next = deadlines.min, next.instant <= now {
      deadlines.removeMin()
      guard let peer = peers[Int(next.slot)], peer.generation == next.generation else { continue }
      switch next.subject {
      case .peer:
        if peer.deadline <= now {
          drop(next.slot)
        } else {
          schedule(.peer, slot: next.slot, at: peer.deadline)
        }
      case .leases(let table):
        guard let index = tables[Int(table)]?.index(of: next.slot) else { continue }
        tables[Int(table)]!.expireLeases(at: index, now: now)
      }
    }
    for peer in reputation.expire(now: now) { reconsider(peer) }
  }

  mutating func schedule(_ subject: Deadline.Subject, slot: UInt32, at instant: Instant) {
    guard let peer = peers[Int(slot)] else { return }
    deadlineCount &+= 1
    deadlines.insert(
      Deadline(
        instant: instant, number: deadlineCount, slot: slot, generation: peer.generation,
        subject: subject))
  }

  mutating func drop(_ slot: UInt32) {
    guard let peer = peers[Int(slot)] else { return }
    for table in peer.memberships { tables[Int(table)]?.leave(slot: slot) }
    slots[peer.id] = nil
    if peer.isSuspended { suspendedCount -= 1 }
    checks.forget(peer.id)
    peers[Int(slot)] = nil
    standings[Int(slot)] = .vacant
    freeSlots.append(slot)
  }

  /// Brings the counts of all its packages in line with whether the peer serves.
  mutating func recount(_ slot: UInt32) {
    guard let peer = peers[Int(slot)] else { return }
    for table in peer.memberships {
      guard let index = tables[Int(table)]?.index(of: slot) else { continue }
      tables[Int(table)]!.setCounted(peer.isServing, at: index)
    }
  }
}
