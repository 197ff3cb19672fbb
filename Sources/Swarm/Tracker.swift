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

  var tables: [PackageTable] = []
  var tableIndices: [PackageID: Int] = [:]
  private var freeTables: [Int] = []
  private var lastTable = 0
  var peers = Pages<PeerRecord>()
  private var slots = PositionTable()
  private var freeSlots: [UInt32] = []
  var labels = SiteLabels()
  /// Of the peers with the flag `isMarked`.
  var marks: [UInt32: PeerMarks] = [:]
  private var generation: UInt32 = 0
  private var pace: Pace
  private var peerDeadlines = Heap<PeerDeadline>()
  private var leaseDeadlines = Heap<LeaseDeadline>()
  var reputation: Reputation
  var originMeter = OriginMeter()
  var announceCount: UInt64 = 0
  /// Bytes that peers were reported to have sent each other.
  var peerByteCount = 0
  var complaintCount: UInt64 = 0
  var checkCount: UInt64 = 0
  var checks = CheckQueue()
  /// Peers in the table that are suspended, in the order in which that was found.
  var suspendedSlots: [UInt32] = []
  /// Mean speed of uploads between peers, bytes a second: what the slow are slow against.
  var servedRate = 0
  /// What was read only to have it near: without it the reads would be left out.
  var touched: UInt64 = 0

  /// How often to report, and after which silence a peer is dropped: the more peers, the less often.
  private struct Pace: Sendable {
    private(set) var interval: Duration
    private(set) var silenceMax: Duration

    init(peerCount: Int, _ limits: TrackerLimits) {
      let seconds = Duration.seconds(peerCount / max(1, limits.peersPerSecond))
      interval = min(max(seconds, limits.interval.lowerBound), limits.interval.upperBound)
      silenceMax = interval * limits.missedIntervalCountMax + .seconds(1)
    }
  }

  package init(limits: TrackerLimits = TrackerLimits()) {
    self.limits = limits
    pace = Pace(peerCount: 0, limits)
    reputation = Reputation(soleAccusationCountMax: limits.soleAccusationCountMax)
  }

  // MARK: Packages

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
    guard let index = tableIndices.removeValue(forKey: id) else { return }
    for place in tables[index].members.indices {
      unlink(UInt32(index), of: tables[index].members[place])
    }
    tables[index] = .vacant
    freeTables.append(index)
  }

  /// Takes a table out of the list of those that a peer is a member of.
  private mutating func unlink(_ table: UInt32, of member: Member) {
    let slot = member.slot
    guard peers[Int(slot)].firstTable != table else {
      peers[Int(slot)].firstTable = member.nextTable
      return
    }
    var before = peers[Int(slot)].firstTable
    while before != PeerRecord.noTable, let index = tables[Int(before)].index(of: slot) {
      let next = tables[Int(before)].members[index].nextTable
      if next == table {
        tables[Int(before)].members[index].nextTable = member.nextTable
        return
      }
      before = next
    }
  }

  package mutating func knows(_ id: PackageID) -> Bool { tableIndex(of: id) != nil }

  /// Mostly it is the one that was asked for before.
  mutating func tableIndex(of id: PackageID) -> Int? {
    if lastTable < tables.count, tables[lastTable].id == id, tables[lastTable].isPresent {
      return lastTable
    }
    guard let index = tableIndices[id] else { return nil }
    lastTable = index
    return index
  }

  /// The packages that are registered.
  package var packageIDs: [PackageID] {
    tables.indices.compactMap { tables[$0].isPresent ? tables[$0].id : nil }
  }

  // MARK: Peers

  var peerCount: Int { slots.count }

  func slot(of peer: PeerID) -> UInt32? { slot(of: peer, hash: peer.keyHash) }

  func slot(of peer: PeerID, hash: UInt64) -> UInt32? {
    slots.first(hash: hash) { peers[Int($0)].isCalled(peer) }
  }

  func likelySlot(hash: UInt64) -> UInt32 { slots.likely(hash: hash) }

  func place(of slot: UInt32) -> PeerPlace {
    let site = peers[Int(slot)].site
    return PeerPlace(
      site: site, region: labels.region(site), network: peers[Int(slot)].endpoint.address.site)
  }

  func place(label: String, _ address: IPAddress) -> PeerPlace {
    PeerPlace(
      site: labels.find(label), region: SiteLabels.region(of: label), network: address.site)
  }

  /// Calls `body` with each table the peer is a member of, and its place there.
  mutating func forEachMembership(
    of slot: UInt32, _ body: (inout PackageTable, _ index: Int) -> Void
  ) {
    var table = peers[Int(slot)].firstTable
    while table != PeerRecord.noTable, let index = tables[Int(table)].index(of: slot) {
      body(&tables[Int(table)], index)
      table = tables[Int(table)].members[index].nextTable
    }
  }

  /// The announcer's slot, brought up to date; nil when the table is full, or when the origin has a
  /// connection with the peer of that name at another address: names are public, so whoever uses one
  /// could have that peer's leases, and send all who are referred to it elsewhere.
  mutating func admit(
    _ announce: Announce, hash: UInt64, from address: IPAddress, now: Instant
  ) -> UInt32? {
    let endpoint = Endpoint(address: address.unmapped, port: announce.port)
    let deadline = now + pace.silenceMax
    guard let slot = slot(of: announce.peer, hash: hash) else {
      return enter(announce, at: endpoint, deadline: deadline)
    }
    let index = Int(slot)
    let wasServing = peers[index].isServing
    if peers[index].endpoint.address != endpoint.address, peers[index].connectionCount > 0 {
      return nil
    }
    if peers[index].endpoint != endpoint || !labels.isText(peers[index].site, announce.site) {
      move(slot, to: endpoint, label: announce.site)
    }
    peers[index].heard(announce, deadline: deadline)
    if !peers[index].flags.isDisjoint(with: [.isMarked, .isDown]) {
      let isProven = peers[index].flags.contains(.isProven)
      let mayRise =
        peers[index].flags.contains(.isDown)
        && (marks[slot]?.downUntil ?? .zero) <= now
      if isProven || mayRise {
        peers[index].flags.remove(.isDown)
        mark(slot, now: now) { $0.deadReports = [] }
      }
    }
    if peers[index].isServing != wasServing { recount(slot) }
    return slot
  }

  private mutating func enter(
    _ announce: Announce, at endpoint: Endpoint, deadline: Instant
  ) -> UInt32? {
    guard peerCount < limits.peerCountMax else { return nil }
    generation &+= 1
    var peer = PeerRecord(
      id: announce.peer, generation: generation, endpoint: endpoint,
      site: labels.take(announce.site), deadline: deadline)
    peer.uploads = announce.uploads
    peer.set(.speaksTLS, announce.speaksTLS)
    let slot = freeSlots.popLast() ?? UInt32(peers.count)
    if reputation.isSuspended(announce.peer, endorserCount: 0) {
      peer.set(.isSuspended, true)
      suspendedSlots.append(slot)
    }
    if Int(slot) == peers.count {
      peers.append(peer)
    } else {
      peers[Int(slot)] = peer
    }
    slots.insert(slot, in: peers)
    pace = Pace(peerCount: peerCount, limits)
    schedulePeer(slot)
    return slot
  }

  /// It is somewhere else now, or its operator has named its site anew.
  private mutating func move(_ slot: UInt32, to endpoint: Endpoint, label: String) {
    let oldKey = peers[Int(slot)].siteKey
    let site = labels.take(label)
    labels.giveBack(peers[Int(slot)].site)
    peers[Int(slot)].site = site
    peers[Int(slot)].endpoint = endpoint
    let key = peers[Int(slot)].siteKey
    if key != oldKey { forEachMembership(of: slot) { $0.setSite(key, at: $1) } }
  }

  /// Changes what is noted of the peer's troubles.
  mutating func mark(_ slot: UInt32, now: Instant, _ change: (inout PeerMarks) -> Void) {
    var marked = marks.removeValue(forKey: slot) ?? PeerMarks()
    change(&marked)
    let isOver = marked.isOver(now: now)
    if !isOver { marks[slot] = marked }
    peers[Int(slot)].set(.isMarked, !isOver)
  }

  mutating func drop(_ slot: UInt32) {
    guard peers[Int(slot)].isPresent else { return }
    var table = peers[Int(slot)].firstTable
    while table != PeerRecord.noTable { table = tables[Int(table)].leave(slot: slot) }
    if peers[Int(slot)].flags.contains(.isSuspended) { suspendedSlots.removeAll { $0 == slot } }
    checks.forget(peers[Int(slot)].id)
    labels.giveBack(peers[Int(slot)].site)
    marks[slot] = nil
    slots.remove(slot, in: peers)
    peers[Int(slot)] = .vacant(peers[Int(slot)].generation)
    freeSlots.append(slot)
    pace = Pace(peerCount: peerCount, limits)
  }

  /// Brings the counts of all its packages in line with whether the peer serves.
  mutating func recount(_ slot: UInt32) {
    let isServing = peers[Int(slot)].isServing
    forEachMembership(of: slot) { $0.setCounted(isServing, at: $1) }
  }

  var interval: Duration { pace.interval }

  // MARK: Time

  /// Drops the peers and leases whose time is over. Each announce does it too; the shell calls it
  /// about once a second so that a silent table empties.
  package mutating func expire(now: Instant) {
    while true {
      let peer = peerDeadlines.min.flatMap { $0.instant <= now ? $0 : nil }
      let lease = leaseDeadlines.min.flatMap { $0.instant <= now ? $0 : nil }
      if let lease, peer.map({ lease.instant < $0.instant }) ?? true {
        leaseDeadlines.removeMin()
        expire(lease, now: now)
      } else if let peer {
        peerDeadlines.removeMin()
        expire(peer, now: now)
      } else {
        break
      }
    }
    for peer in reputation.expire(now: now) { reconsider(peer) }
  }

  private mutating func expire(_ due: PeerDeadline, now: Instant) {
    guard isCurrent(due) else { return }
    if peers[Int(due.slot)].deadline <= now { drop(due.slot) } else { schedulePeer(due.slot) }
  }

  private mutating func expire(_ due: LeaseDeadline, now: Instant) {
    guard isCurrent(due), let index = tables[Int(due.table)].index(of: due.slot) else { return }
    tables[Int(due.table)].expireLeases(at: index, now: now)
  }

  private func isCurrent(_ due: some Deadline) -> Bool {
    peers[Int(due.slot)].isPresent && peers[Int(due.slot)].generation == due.generation
  }

  private mutating func schedulePeer(_ slot: UInt32) {
    peerDeadlines.insert(
      PeerDeadline(
        instant: peers[Int(slot)].deadline, slot: slot, generation: peers[Int(slot)].generation))
  }

  mutating func scheduleLeases(_ slot: UInt32, tableIndex: Int, at instant: Instant) {
    leaseDeadlines.insert(
      LeaseDeadline(
        instant: instant, slot: slot, generation: peers[Int(slot)].generation,
        table: UInt32(tableIndex)))
  }
}
