import Content
import DequeModule

/// A run the origin is sending to a member.
struct LeaseRecord: Sendable {
  var run: PieceRun
  var deadline: Instant
  /// All of it has left the origin.
  var isSent = false
  /// Bytes of it that were asked for.
  var fetchedByteCount = 0
}

/// One peer's place in the table of one package.
struct Member: Sendable {
  let slot: UInt32
  /// Its pieces and leases are in the counts.
  var isCounted = false
  /// It has told its whole bitmap to this tracker.
  var isKnown = false
  var held: PieceSet
  var leases: [LeaseRecord] = []
  /// What it brings into its site from others.
  var crossings: [LeaseRecord] = []
  var site = SiteMap.none
  /// How large the swarm was when it was last told of all the sources it may have.
  var toldMemberCount: UInt32 = 0

  func hasLeased(_ piece: PieceIndex) -> Bool {
    leases.contains { $0.run.contains(piece) }
  }

  func isBringing(_ piece: PieceIndex) -> Bool {
    crossings.contains { $0.run.contains(piece) }
  }
}

/// Who holds which piece of one package, and which pieces are on their way.
///
/// Invariant: `holderCounts[p]` is the number of counted members that hold p, `leaseCounts[p]` the
/// number of leases for p whose counted member does not hold it yet, and p is in `unheld` exactly
/// when both are 0: only the origin has it. `out` are the pieces that counted members hold.
struct PackageTable: Sendable {
  static let grantCountMax = 128
  static let nearPromiseCountMax = 16

  let id: PackageID
  let geometry: Geometry
  private(set) var members: [Member] = []
  private var indices: [UInt32: Int] = [:]
  private var holderCounts: [UInt32]
  private var leaseCounts: [UInt8]
  private(set) var unheld: PieceSet
  private(set) var out: PieceSet
  private let full: PieceSet
  var sites = SiteMap()
  /// Counted members that still need pieces.
  private(set) var askerCount = 0
  /// Pieces leased and not held by whom they were leased to.
  private(set) var leasedPieceCount = 0
  /// Where the next fresh piece is looked for: pieces go out in the order of the file.
  var cursor = 0
  /// The latest leases, for promises.
  var grants: Deque<(slot: UInt32, run: PieceRun, expected: Instant)> = []
  /// What starving members may still be sent again, in pieces.
  var spareCount: Double
  var spareFilled: Instant = .zero
  /// Pieces the origin sent again because their holders were slow: each once before any twice.
  var helped: PieceSet
  var originByteCount = 0
  /// The part of it that members asked for; what is under way is in it.
  var swarmByteCount = 0
  /// Bytes that members were reported to have sent each other.
  var peerByteCount = 0
  var announceCount: UInt64 = 0

  init(id: PackageID, geometry: Geometry) {
    self.id = id
    self.geometry = geometry
    holderCounts = Array(repeating: 0, count: geometry.pieceCount)
    leaseCounts = Array(repeating: 0, count: geometry.pieceCount)
    full = .full(pieceCount: geometry.pieceCount)
    unheld = full
    out = PieceSet(pieceCount: geometry.pieceCount)
    helped = out
    spareCount = Self.spareCountMax(pieceCount: geometry.pieceCount)
  }

  static func spareCountMax(pieceCount: Int) -> Double { max(2, Double(pieceCount) / 100) }

  func index(of slot: UInt32) -> Int? { indices[slot] }

  func holderCount(of piece: PieceIndex) -> Int { Int(holderCounts[piece.rawValue]) }
  func leaseCount(of piece: PieceIndex) -> Int { Int(leaseCounts[piece.rawValue]) }

  var heldPieceCount: Int { holderCounts.reduce(0) { $0 + ($1 > 0 ? 1 : 0) } }

  mutating func join(slot: UInt32, isServing: Bool, site: SiteKey) -> Int {
    indices[slot] = members.count
    var member = Member(slot: slot, held: PieceSet(pieceCount: geometry.pieceCount))
    member.site = sites.join(site, pieceCount: geometry.pieceCount)
    members.append(member)
    setCounted(isServing, at: members.count - 1)
    return members.count - 1
  }

  /// How many sources to name to a member, the origin included. All when it is new, starves, or the
  /// swarm has grown by a quarter since; else a few, so that it goes on meeting others.
  mutating func sourceCount(
    for index: Int, isStarving: Bool, _ limits: TrackerLimits
  ) -> Int {
    let told = Int(members[index].toldMemberCount)
    guard isStarving || members.count > told + told / 4 else { return limits.freshSourceCountMax }
    members[index].toldMemberCount = UInt32(clamping: members.count)
    return limits.sourceCountMax
  }

  mutating func leave(slot: UInt32) {
    guard let index = indices.removeValue(forKey: slot) else { return }
    setCounted(false, at: index)
    sites.leave(members[index].site, isLast: members.count == 1)
    let last = members.count - 1
    if index != last {
      members[index] = members[last]
      indices[members[index].slot] = index
    }
    members.removeLast()
  }

  /// The member has moved, or its operator has named its site anew.
  mutating func setSite(_ key: SiteKey, at index: Int) {
    guard sites.key(members[index].site) != key else { return }
    let isCounted = members[index].isCounted
    setCounted(false, at: index)
    sites.leave(members[index].site, isLast: false)
    members[index].site = sites.join(key, pieceCount: geometry.pieceCount)
    setCounted(isCounted, at: index)
  }

  /// Brings the member's pieces and leases into the counts or takes them out.
  mutating func setCounted(_ isCounted: Bool, at index: Int) {
    guard members[index].isCounted != isCounted else { return }
    let step = isCounted ? 1 : -1
    if !isCounted { yieldLeases(at: index) }
    members[index].isCounted = isCounted
    if isCounted { members[index].leases.removeAll() }
    sites.count(members[index].site, by: step)
    let held = members[index].held
    let site = members[index].site
    held.forEach { changeHolders(of: $0, by: step, in: site) }
    if !held.isFull { askerCount += step }
    if sites.mustSplit { splitSites() }
  }

  /// From now on pieces are counted by site.
  private mutating func splitSites() {
    sites.split(pieceCount: geometry.pieceCount)
    for member in members where member.isCounted {
      member.held.forEach { sites.changeHolders(of: $0, in: member.site, by: 1) }
      var leased = PieceSet(pieceCount: geometry.pieceCount)
      for lease in member.leases { leased.insert(lease.run) }
      leased.subtract(member.held)
      leased.forEach { sites.changeUnderway(of: $0, in: member.site, by: 1) }
    }
  }

  mutating func replaceHoldings(_ held: PieceSet, at index: Int) {
    let lost = members[index].held.subtracting(held)
    let gained = held.subtracting(members[index].held)
    lost.forEach { evicted($0, at: index) }
    gained.forEach { self.gained($0, at: index) }
    members[index].isKnown = true
    finishUpdate(at: index)
  }

  /// Runs outside the package are ignored.
  mutating func change(gained: [PieceRun], evicted: [PieceRun], at index: Int) {
    for run in evicted where geometry.contains(run) {
      for piece in run.pieces { self.evicted(piece, at: index) }
    }
    for run in gained where geometry.contains(run) {
      for piece in run.pieces { self.gained(piece, at: index) }
    }
    finishUpdate(at: index)
  }

  private mutating func gained(_ piece: PieceIndex, at index: Int) {
    guard members[index].held.insert(piece), members[index].isCounted else { return }
    let site = members[index].site
    if members[index].hasLeased(piece) { changeLeases(of: piece, by: -1, in: site) }
    if members[index].isBringing(piece) { sites.changeUnderway(of: piece, in: site, by: -1) }
    changeHolders(of: piece, by: 1, in: site)
    if members[index].held.isFull { askerCount -= 1 }
  }

  private mutating func evicted(_ piece: PieceIndex, at index: Int) {
    let wasFull = members[index].held.isFull
    guard members[index].held.remove(piece), members[index].isCounted else { return }
    if wasFull { askerCount += 1 }
    let site = members[index].site
    if members[index].hasLeased(piece) { changeLeases(of: piece, by: 1, in: site) }
    if members[index].isBringing(piece) { sites.changeUnderway(of: piece, in: site, by: 1) }
    changeHolders(of: piece, by: -1, in: site)
  }

  private mutating func finishUpdate(at index: Int) {
    let held = members[index].held
    members[index].leases.removeAll { held.contains($0.run) }
    members[index].crossings.removeAll { held.contains($0.run) }
    // Seeds share one bitmap.
    if held.isFull { members[index].held = full }
  }

  mutating func addLease(_ lease: LeaseRecord, at index: Int) {
    if members[index].isCounted {
      for piece in lease.run.pieces where !members[index].held.contains(piece) {
        if !members[index].hasLeased(piece) {
          changeLeases(of: piece, by: 1, in: members[index].site)
        }
      }
    }
    members[index].leases.append(lease)
  }

  /// Crossings never overlap: what one member brings is not open to another, nor to itself.
  mutating func addCrossing(_ lease: LeaseRecord, at index: Int) {
    for piece in lease.run.pieces where !members[index].held.contains(piece) {
      sites.changeUnderway(of: piece, in: members[index].site, by: 1)
    }
    members[index].crossings.append(lease)
  }

  private mutating func removeCrossing(_ crossingIndex: Int, at index: Int) {
    let lease = members[index].crossings.remove(at: crossingIndex)
    for piece in lease.run.pieces where !members[index].held.contains(piece) {
      sites.changeUnderway(of: piece, in: members[index].site, by: -1)
    }
  }

  /// All that is leased to the member goes to the next who asks.
  mutating func yieldLeases(at index: Int) {
    while !members[index].leases.isEmpty { removeLease(0, at: index) }
    while !members[index].crossings.isEmpty { removeCrossing(0, at: index) }
  }

  /// Takes the pieces of `run` back; what else their leases name stays leased.
  mutating func yield(_ run: PieceRun, at index: Int) {
    var leaseIndex = 0
    while leaseIndex < members[index].leases.count {
      let lease = members[index].leases[leaseIndex]
      guard lease.run.indices.overlaps(run.indices) else {
        leaseIndex += 1
        continue
      }
      removeLease(leaseIndex, at: index)
      let (start, end) = (lease.run.first.rawValue, lease.run.end)
      for (from, to) in [(start, run.first.rawValue), (run.end, end)] where from < to {
        var kept = lease
        kept.run = PieceRun(first: PieceIndex(from), count: to - from)
        addLease(kept, at: index)
      }
    }
  }

  private mutating func removeLease(_ leaseIndex: Int, at index: Int) {
    let lease = members[index].leases.remove(at: leaseIndex)
    guard members[index].isCounted else { return }
    for piece in lease.run.pieces where !members[index].held.contains(piece) {
      if !members[index].hasLeased(piece) {
        changeLeases(of: piece, by: -1, in: members[index].site)
      }
    }
  }

  /// Takes back what is over.
  mutating func expireLeases(at index: Int, now: Instant) {
    var leaseIndex = 0
    while leaseIndex < members[index].leases.count {
      if members[index].leases[leaseIndex].deadline <= now {
        removeLease(leaseIndex, at: index)
      } else {
        leaseIndex += 1
      }
    }
    leaseIndex = 0
    while leaseIndex < members[index].crossings.count {
      if members[index].crossings[leaseIndex].deadline <= now {
        removeCrossing(leaseIndex, at: index)
      } else {
        leaseIndex += 1
      }
    }
  }

  mutating func noteSent(_ run: PieceRun, at index: Int) {
    for leaseIndex in members[index].leases.indices
    where run.contains(members[index].leases[leaseIndex].run.first)
      && run.contains(members[index].leases[leaseIndex].run.last)
    {
      members[index].leases[leaseIndex].isSent = true
    }
  }

  mutating func noteFetched(_ byteCount: Int, ofLease leaseIndex: Int, at index: Int) {
    members[index].leases[leaseIndex].fetchedByteCount += byteCount
  }

  private mutating func changeHolders(of piece: PieceIndex, by step: Int, in site: Int32) {
    holderCounts[piece.rawValue] = UInt32(Int(holderCounts[piece.rawValue]) + step)
    sites.changeHolders(of: piece, in: site, by: step)
    refresh(piece)
  }

  private mutating func changeLeases(of piece: PieceIndex, by step: Int, in site: Int32) {
    sites.changeUnderway(of: piece, in: site, by: step)
    let old = Int(leaseCounts[piece.rawValue])
    // Saturates: beyond 255 leases for one piece the count would only be too low.
    let new = min(max(old + step, 0), Int(UInt8.max))
    leaseCounts[piece.rawValue] = UInt8(new)
    leasedPieceCount += new - old
    refresh(piece)
  }

  private mutating func refresh(_ piece: PieceIndex) {
    if holderCounts[piece.rawValue] == 0 { out.remove(piece) } else { out.insert(piece) }
    if holderCounts[piece.rawValue] == 0, leaseCounts[piece.rawValue] == 0 {
      unheld.insert(piece)
    } else {
      unheld.remove(piece)
    }
  }
}
