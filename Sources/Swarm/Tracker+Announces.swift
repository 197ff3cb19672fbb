package import Content

/// From a peer's report to the answer.
extension Tracker {
  /// Takes a peer's report and answers it. The peer is reachable at `address`, where its connection
  /// came from, and the port it claims. Packages that are not registered, or reported with another
  /// piece count, are left out of the answer.
  package mutating func announce(
    _ announce: Announce, from address: IPAddress, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Referral {
    var referral = Referral(interval: interval, packages: [])
    let heard = [HeardAnnounce(announce, from: address)]
    self.announce(heard.span, now: now, rng: &rng) { referral = $1 }
    return referral
  }

  /// Takes several in their order, each as if it came alone, and tells the answer to each. In one
  /// go they cost less.
  package mutating func announce(
    _ heard: Span<HeardAnnounce>, now: Instant, rng: inout some RandomNumberGenerator,
    answer: (_ index: Int, Referral) -> Void
  ) {
    var named = prepare(heard)
    for index in heard.indices {
      answer(
        index,
        take(
          heard[index].announce, from: heard[index].address, &named, now: now, rng: &rng))
    }
  }

  private mutating func take(
    _ announce: Announce, from address: IPAddress, _ named: inout NamedPeers, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Referral {
    let end = named.end(of: announce)
    defer { named.skip(to: end) }
    announceCount &+= 1
    expire(now: now)
    guard !announce.peer.isOrigin else { return Referral(interval: interval, packages: []) }
    if announce.isLeaving {
      if let slot = slot(of: announce.peer),
        peers[Int(slot)].endpoint.address == address.unmapped
      {
        drop(slot)
      }
      return Referral(interval: interval, packages: [])
    }
    guard let slot = admit(announce, hash: named.next(), from: address, now: now) else {
      let parts = announce.reports.compactMap {
        sources(of: $0.package, for: address, site: announce.site, now: now, rng: &rng)
      }
      return Referral(interval: interval, packages: parts)
    }
    var parts: [PackageReferral] = []
    parts.reserveCapacity(min(announce.reports.count, Announce.reportCountMax))
    let reports = announce.reports.span.extracting(first: Announce.reportCountMax)
    for index in reports.indices {
      guard let tableIndex = tableIndex(of: reports[index].package),
        tables[tableIndex].pieceCount == reports[index].pieceCount
      else {
        named.skip(reports[index].deliveryCount)
        continue
      }
      parts.append(
        take(reports[index], &named, slot: slot, tableIndex: tableIndex, now: now, rng: &rng))
    }
    return Referral(interval: interval, packages: parts)
  }

  private mutating func take(
    _ report: PackageReport, _ named: inout NamedPeers, slot: UInt32, tableIndex: Int,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> PackageReferral {
    let (index, isNew) = join(slot, tableIndex)
    tables[tableIndex].take(report.holdings, at: index)
    let deliveries = report.deliveries.span.extracting(first: PackageReport.deliveryCountMax)
    for index in deliveries.indices {
      take(deliveries[index], hash: named.next(), from: slot, tableIndex: tableIndex, now: now)
    }
    for complaint in report.complaints.prefix(PackageReport.complaintCountMax) {
      take(complaint, from: slot, tableIndex: tableIndex, now: now)
      yieldIfGone(complaint.source)
    }
    var part = PackageReferral(package: report.package, pieceCount: report.pieceCount)
    part.wantsWhole = !tables[tableIndex].members[index].isKnown
    if !part.wantsWhole {
      part.leases = lease(report, slot: slot, tableIndex: tableIndex, index: index, now: now)
      part.staysNear = tables[tableIndex].staysNear(index)
      if part.staysNear {
        part.crossings = crossings(
          report, slot: slot, tableIndex: tableIndex, index: index, now: now)
      }
    }
    if !suspendedSlots.isEmpty { part.suspended = suspended(in: tableIndex) }
    if isServedAlone(
      report, part.leases, isNew: isNew, tableIndex: tableIndex, index: index, now: now)
    {
      return part
    }
    let sourceCount = tables[tableIndex].sourceCount(
      for: index, isStarving: report.isStarving, limits)
    if sourceCount > 0 {
      part.sources = rankedSources(
        tableIndex: tableIndex, near: place(of: slot), except: slot, countMax: sourceCount,
        now: now, rng: &rng)
    }
    part.promises = promises(report, tableIndex: tableIndex, index: index, now: now)
    if part.staysNear {
      nameHolders(in: &part, slot: slot, tableIndex: tableIndex, index: index, now: now, rng: &rng)
    }
    return part
  }

  /// The peer's place in the table, and whether it was given one only now.
  private mutating func join(_ slot: UInt32, _ tableIndex: Int) -> (index: Int, isNew: Bool) {
    tables[tableIndex].announceCount &+= 1
    let likely = Int(peers[Int(slot)].memberIndex)
    if tables[tableIndex].isMember(slot, at: likely) { return (likely, false) }
    let known = tables[tableIndex].index(of: slot)
    let index = known ?? enter(slot, tableIndex)
    peers[Int(slot)].memberIndex = UInt32(index)
    return (index, known == nil)
  }

  private mutating func enter(_ slot: UInt32, _ tableIndex: Int) -> Int {
    let peer = peers[Int(slot)]
    peers[Int(slot)].firstTable = UInt32(tableIndex)
    return tables[tableIndex].join(
      slot: slot, isServing: peer.isServing, site: peer.siteKey, nextTable: peer.firstTable)
  }

  /// All the packages are registered.
  package mutating func knowsAll(of announce: Announce) -> Bool {
    let reports = announce.reports.span
    for index in reports.indices where !knows(reports[index].package) { return false }
    return true
  }

  private mutating func promises(
    _ report: PackageReport, tableIndex: Int, index: Int, now: Instant
  ) -> [Promise] {
    tables[tableIndex].promised(to: index, isStarving: report.isStarving).compactMap { grant in
      let holder = peers[Int(grant.slot)]
      guard holder.isPresent, holder.isServing else { return nil }
      return Promise(
        holder: holder.id, run: grant.run,
        expected: max(.milliseconds(1), grant.expected - now))
    }
  }
}

extension Announce {
  package var complains: Bool {
    let reports = reports.span
    for index in reports.indices where !reports[index].complaints.isEmpty { return true }
    return false
  }
}

extension PackageTable {
  fileprivate mutating func take(_ holdings: Holdings, at index: Int) {
    switch holdings {
    case .whole(let held):
      if held.pieceCount == pieceCount { replaceHoldings(held, at: index) }
    case .changes(let gained, let evicted):
      change(gained: gained, evicted: evicted, at: index)
    }
  }
}
