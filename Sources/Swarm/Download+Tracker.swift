import Content
import DequeModule

/// Where the conversation with the tracker stands.
struct TrackerTalk: Sendable {
  /// An announce is under way; this is what it tells we hold.
  var telling: PieceSet?
  /// What the tracker knows we hold; nil when it is to be told everything.
  var told: PieceSet?
  /// Something should be said without waiting for the interval.
  var isUrgent = false
  /// What the tracker last asked for. Who only serves asks one that is gone no more often: when it
  /// is back it hears of everybody within an interval, and no faster than it can take it.
  var interval: Duration = .zero
  /// Not before this, whatever happens.
  var notBefore: Instant = .zero
  /// At the latest then.
  var due: Instant = .zero
  /// No leases are asked for before this: the origin had none to give.
  var leasesNotBefore: Instant = .zero
  var starvingAt: Instant = .zero
  var failureCount = 0
  var answerCount = 0
  var emptyCount = 0
  /// Pieces of the last grant: the next is asked for when half of it has come.
  var grantCount = 0
  var askedForLeases = false
  var complaints: [Complaint] = []
  /// Those of the announce under way: they are made again when it is lost.
  var sentComplaints: [Complaint] = []

  mutating func failed(
    now: Instant, isSettled: Bool, limits: DownloadLimits, chance: inout SeededGenerator
  ) {
    guard telling != nil else { return }
    telling = nil
    complaints = Array((sentComplaints + complaints).prefix(PackageReport.complaintCountMax))
    sentComplaints = []
    failureCount += 1
    let delay = min(
      limits.trackerRetryDelay.lowerBound * (1 << min(failureCount - 1, 10)),
      max(limits.trackerRetryDelay.upperBound, isSettled ? interval : .zero))
    notBefore = now + chance.duration(in: (delay / 2)...delay)
    due = notBefore
  }
}

extension Download {
  mutating func referred(
    _ referral: PackageReferral, interval: Duration, now: Instant,
    chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    guard let telling = talk.telling, referral.pieceCount == geometry.pieceCount else { return }
    talk.told = referral.wantsWhole ? nil : telling
    talk.telling = nil
    talk.sentComplaints = []
    talk.failureCount = 0
    talk.notBefore = now
    var interval = min(max(interval, .milliseconds(100)), .seconds(3_600))
    talk.interval = interval
    if !isSettled {
      // A swarm that starts grows fast: the first reports follow each other closely.
      interval = min(interval, limits.warmUpDelay * (1 << min(talk.answerCount, 10)))
    }
    talk.answerCount += 1
    talk.due = now + chance.duration(in: (interval * 3 / 4)...interval)
    if referral.wantsWhole { talk.isUrgent = true }
    learn(referral.sources)
    swap(for: referral.sources, now: now, chance: &chance, effects: &effects)
    for peer in referral.suspended { avoid(peer, now: now, effects: &effects) }
    forgetPromises(now: now)
    for promise in referral.promises.reversed() {
      self.promise(
        [promise.run], by: promise.holder, until: now + min(promise.expected, .seconds(30)))
    }
    guard !isSettled else { return }
    take(referral.leases, now: now, effects: &effects)
    takeCrossings(referral, now: now)
    if talk.askedForLeases, referral.leases.isEmpty, referral.crossings.isEmpty,
      !referral.wantsWhole
    {
      talk.emptyCount += 1
      let base = limits.emptyLeaseDelay * (1 << min(talk.emptyCount - 1, 7))
      let delay = min(base, interval)
      talk.leasesNotBefore = now + chance.duration(in: (delay / 2)...delay)
    } else {
      talk.emptyCount = 0
      talk.leasesNotBefore = now
    }
    talk.starvingAt = now + chance.duration(in: limits.starvingAnnounceDelay)
  }

  private mutating func take(_ leases: [Lease], now: Instant, effects: inout [Effect]) {
    reclaim(leases, now: now, effects: &effects)
    var count = 0
    var runs: [PieceRun] = []
    for lease in leases where geometry.contains(lease.run) {
      // What came from elsewhere since we asked is not fetched again.
      var open = PieceSet(pieceCount: geometry.pieceCount)
      for piece in lease.run.pieces where needed.contains(piece) { open.insert(piece) }
      for run in open.runs {
        needed.remove(run)
        leased.append(LeaseRecord(run: run, deadline: now + max(lease.term, .milliseconds(100))))
        runs.append(run)
        count += run.count
      }
    }
    if count > 0 {
      talk.grantCount = count
      effects.append(.promise(runs))
    }
  }

  /// Pieces leased to us that have not arrived.
  var leasedOutstandingCount: Int {
    var count = leased.reduce(0) { $0 + $1.run.count }
    for position in requests.indices where requests[position].source.isOrigin {
      count += requests[position].rest.count
    }
    return count
  }

  mutating func announceIfDue(now: Instant, effects: inout [Effect]) {
    guard talk.telling == nil, talk.notBefore <= now else { return }
    let wantsLease =
      !isSettled && !needed.isEmpty && talk.leasesNotBefore <= now
      && (leasedOutstandingCount <= talk.grantCount / 2 || wantsCrossing)
    let isDue = talk.isUrgent || talk.due <= now || wantsLease
    let isStarving = (isDue || talk.starvingAt <= now) && !isSettled && isStarving(now: now)
    guard isDue || (isStarving && talk.starvingAt <= now) else { return }
    var report = PackageReport(
      package: package, pieceCount: geometry.pieceCount, holdings: holdings)
    report.wantedPieceCount = wantsLease || isStarving ? needed.count : 0
    report.isStarving = isStarving
    report.peerByteRate = peerByteRate(now: now)
    report.deliveries = deliveries()
    report.complaints = talk.complaints
    talk.sentComplaints = talk.complaints
    talk.complaints = []
    talk.telling = held
    talk.isUrgent = false
    talk.askedForLeases = report.wantedPieceCount > 0
    effects.append(.announce(report))
  }

  private var holdings: Holdings {
    guard let told = talk.told else { return .whole(held) }
    return .changes(
      gained: held.subtracting(told).runs, evicted: told.subtracting(held).runs)
  }

  private mutating func deliveries() -> [Delivery] {
    var deliveries: [Delivery] = []
    for index in neighbours.indices where neighbours[index].untoldByteCount > 0 {
      guard deliveries.count < PackageReport.deliveryCountMax else { break }
      deliveries.append(
        Delivery(
          source: neighbours[index].id, byteCount: neighbours[index].untoldByteCount,
          duration: neighbours[index].untoldDuration))
      neighbours[index].untoldByteCount = 0
      neighbours[index].untoldDuration = .zero
    }
    return deliveries
  }

  /// Wishes for a tick at the next moment at which time alone changes a decision.
  mutating func scheduleTick(now: Instant, effects: inout [Effect]) {
    var next = Instant(nanoseconds: .max)
    func consider(_ instant: Instant) { if instant > now, instant < next { next = instant } }
    if talk.telling == nil {
      consider(max(talk.due, talk.notBefore))
      if !isSettled, !needed.isEmpty {
        consider(talk.leasesNotBefore)
        if requests.allSatisfy(\.isProbe) { consider(talk.starvingAt) }
      }
    }
    if !isSettled {
      let silentSince = now - limits.stallTime
      var progress = Instant(nanoseconds: .max)
      for index in neighbours.indices {
        if neighbours[index].outstandingCount > 0, neighbours[index].lastProgress > silentSince {
          progress = min(progress, neighbours[index].lastProgress)
        }
        consider(neighbours[index].busyUntil)
        consider(neighbours[index].penaltyUntil)
      }
      consider(progress + limits.stallTime)
      for lease in leased { consider(lease.deadline) }
      if asksForArriving { for promise in promised { consider(promise.notBefore) } }
      if wantedPiece != nil { consider(wantedSince + limits.readerPatience) }
      if let overdue = nextOverdue(now: now) { consider(overdue) }
      if requests.isEmpty {
        consider(lastArrival + limits.lastResortTime)
        consider(lastArrival + limits.patience)
      }
    }
    guard next.nanoseconds != .max, tickAt.map({ next < $0 || $0 <= now }) ?? true else { return }
    tickAt = next
    effects.append(.tick(after: max(next - now, .milliseconds(1))))
  }
}
