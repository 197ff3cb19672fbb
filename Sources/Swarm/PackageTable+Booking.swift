import Content

/// What is under way to whom: leases from the origin, crossings between sites.
extension PackageTable {
  /// Leases of one member never overlap: what it was leased is not leased to it again.
  mutating func addLease(_ lease: LeaseRecord, at index: Int) {
    members[index].leases.append(lease)
    count(lease, by: 1, at: index)
  }

  /// Crossings never overlap: what one member brings is not open to another, nor to itself.
  mutating func addCrossing(_ lease: LeaseRecord, at index: Int) {
    changeUnderway(lease.run, by: 1, at: index)
    members[index].crossings.append(lease)
  }

  private mutating func removeCrossing(_ crossingIndex: Int, at index: Int) {
    let lease = members[index].crossings.remove(at: crossingIndex)
    changeUnderway(lease.run, by: -1, at: index)
  }

  private mutating func changeUnderway(_ run: PieceRun, by step: Int, at index: Int) {
    let site = members[index].site
    for rawValue in run.indices where !holds(PieceIndex(rawValue), at: index) {
      sites.changeUnderway(of: PieceIndex(rawValue), in: site, by: step)
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
    count(members[index].leases[leaseIndex], by: -1, at: index)
    members[index].leases.remove(at: leaseIndex)
  }

  private mutating func count(_ lease: LeaseRecord, by step: Int, at index: Int) {
    guard members[index].isCounted else { return }
    for rawValue in lease.run.indices where !holds(PieceIndex(rawValue), at: index) {
      changeLeases(of: PieceIndex(rawValue), by: step, at: index)
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
      let lease = members[index].leases[leaseIndex]
      guard !lease.isSent else { continue }
      members[index].leases[leaseIndex].isSent = true
      if members[index].isCounted { sentPieceCount += lackedCount(lease.run, at: index) }
    }
  }

  mutating func noteFetched(_ byteCount: Int, ofLease leaseIndex: Int, at index: Int) {
    members[index].leases[leaseIndex].fetchedByteCount += byteCount
  }

  /// Pieces of the leases, without those that the member holds or that have left the origin.
  func outstandingLeasedCount(_ index: Int) -> Int {
    members[index].leases.reduce(0) { $1.isSent ? $0 : $0 + lackedCount($1.run, at: index) }
  }

  func outstandingCrossingCount(_ index: Int) -> Int {
    members[index].crossings.reduce(0) { $0 + lackedCount($1.run, at: index) }
  }

  private func lackedCount(_ run: PieceRun, at index: Int) -> Int {
    run.indices.reduce(0) { $0 + (holds(PieceIndex($1), at: index) ? 0 : 1) }
  }
}
