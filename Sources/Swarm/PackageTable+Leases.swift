import Content

/// What a member asks of the origin, and what bounds the answer.
struct LeaseRequest: Sendable {
  var wantedPieceCount: Int
  /// What the sources of use to the member hold together, when it is starving.
  var reachable: PieceSet?
  /// Bytes a second from the origin to this member; 0 when unknown.
  var byteRate: Int
  /// Bytes a second from the origin to everybody; 0 when unknown.
  var originByteRate = 0
  /// Pieces the origin may still promise within its target period.
  var roomPieceCount: Int
  /// How much of what the origin can send within its target period is promised.
  var queueShare = 0.0
  /// Its peers are slow and the origin would be faster: `ServicePolicy.helps`.
  var isSlow = false
  /// Pieces that may be sent again under the operator's budget; nil when none is set.
  var repeatPieceCount: Int?
  var deadline: Instant
  var now: Instant
}

extension PackageTable {
  /// Chooses what the origin sends to the member now and books it.
  ///
  /// Fresh pieces first: each goes out once, in the order of the file. A member that serves nobody
  /// gets them only when no one who serves is waiting, or when it starves. When everything is out,
  /// a starving member gets what no source of use to it holds, then, within a small budget, what
  /// is held by the fewest; and a member with slow peers is helped.
  mutating func lease(_ request: LeaseRequest, at index: Int) -> [PieceRun] {
    let isCounted = members[index].isCounted
    let isServed = isCounted || askerCount == 0 || request.reachable != nil
    guard request.wantedPieceCount > 0, isServed, !isFull(index) else { return [] }
    let askers = askers(with: index)
    let runMax = RunLength.pieces(
      askerCount: askers, pieceByteCount: geometry.pieceByteCount, byteRate: request.byteRate,
      queueShare: request.queueShare)
    let quota = RunLength.outstandingPieces(
      askerCount: askers, pieceByteCount: geometry.pieceByteCount, byteRate: request.byteRate,
      freshPieceCount: unheld.count, originByteRate: request.originByteRate)
    let leased = outstandingLeasedCount(index)
    var room = min(request.wantedPieceCount, quota - leased, max(1, request.roomPieceCount))
    var runs: [PieceRun] = []
    if !unheld.isEmpty {
      var fresh = unheld.subtracting(held(index))
      for lease in members[index].leases { fresh.remove(lease.run) }
      runs = take(&room, from: fresh, runMax: runMax, request: request, at: index)
      guard runs.isEmpty else { return runs }
    }
    if request.isSlow {
      runs = help(leased: leased, askers: askers, runMax: runMax, request: request, at: index)
    }
    guard runs.isEmpty, let reachable = request.reachable, leased == 0 else { return runs }
    var needed = held(index).inverted
    room = min(request.wantedPieceCount, quota, request.repeatPieceCount ?? .max)
    needed.subtract(reachable)
    var lost = PieceSet(pieceCount: pieceCount)
    needed.forEach { if leaseCount(of: $0) == 0 { lost.insert($0) } }
    runs = take(&room, from: lost, runMax: runMax, request: request, at: index)
    if runs.isEmpty, request.repeatPieceCount != 0, let spare = spare(for: index, now: request.now)
    {
      runs = [PieceRun(spare)]
      book(PieceRun(spare), request: request, at: index)
    }
    return runs
  }

  /// Members that still need pieces and serve others, and this one.
  private func askers(with index: Int) -> Int {
    max(1, askerCount + (members[index].isCounted ? 0 : 1))
  }

  func isAloneAsker(_ index: Int) -> Bool { askers(with: index) == 1 }

  /// Pieces that others hold, sent once more because those are slow: each once before any twice, so
  /// that several late ones share what they get. A crowd is left to itself but for the small
  /// budget, unless the operator gave a larger one.
  private mutating func help(
    leased: Int, askers: Int, runMax: Int, request: LeaseRequest, at index: Int
  ) -> [PieceRun] {
    var room = min(
      request.wantedPieceCount, request.roomPieceCount, request.repeatPieceCount ?? .max)
    let isBounded = request.repeatPieceCount == nil && askers >= RunLength.crowd
    if isBounded { room = min(room, sparePieceCount(now: request.now)) }
    guard room > 0 else { return [] }
    var candidates = held(index).inverted
    candidates.forEach { if leaseCount(of: $0) > 0 { candidates.remove($0) } }
    for lease in members[index].leases { candidates.remove(lease.run) }
    if staysNear(index) {
      candidates.formIntersection(sites.sites[Int(members[index].site)].open)
    }
    let unhelped = candidates.subtracting(helped)
    if unhelped.isEmpty { helped.subtract(candidates) } else { candidates = unhelped }
    let quota = RunLength.outstandingPieces(
      askerCount: askers, pieceByteCount: geometry.pieceByteCount, byteRate: request.byteRate,
      freshPieceCount: candidates.count)
    room = min(room, quota - leased)
    let runs = take(&room, from: candidates, runMax: runMax, request: request, at: index)
    for run in runs {
      helped.insert(run)
      if isBounded { spareCount -= Double(run.count) }
    }
    return runs
  }

  private mutating func take(
    _ room: inout Int, from set: PieceSet, runMax: Int, request: LeaseRequest, at index: Int
  ) -> [PieceRun] {
    let runs = Self.cut(set, runMax: runMax, room: &room, cursor: &cursor)
    for run in runs { book(run, request: request, at: index) }
    return runs
  }

  /// As many of the pieces as there is room for, in runs, from `cursor` on and then from the start.
  static func cut(
    _ set: PieceSet, runMax: Int, room: inout Int, cursor: inout Int
  ) -> [PieceRun] {
    var rest = set
    var runs: [PieceRun] = []
    while room > 0, runs.count < PackageReferral.leaseCountMax,
      let first = rest.first(from: cursor) ?? rest.first(from: 0),
      let run = rest.run(from: first, countMax: min(runMax, room))
    {
      rest.remove(run)
      room -= run.count
      cursor = run.end < set.pieceCount ? run.end : 0
      runs.append(run)
    }
    return runs
  }

  private mutating func book(_ run: PieceRun, request: LeaseRequest, at index: Int) {
    addLease(LeaseRecord(run: run, deadline: request.deadline), at: index)
    guard members[index].isCounted else { return }
    if grants.count >= Self.grantCountMax { grants.removeFirst() }
    grants.append((members[index].slot, run, request.deadline))
    grantCount &+= 1
  }

  /// Pieces that may be sent to a crowd again without an operator's word: a hundredth of the
  /// package, refilled at a four-hundredth, or one piece, a second.
  private mutating func sparePieceCount(now: Instant) -> Int {
    let rate = max(1, Double(geometry.pieceCount) / 400)
    let limit = Self.spareCountMax(pieceCount: geometry.pieceCount)
    spareCount = min(limit, spareCount + max(0, (now - spareFilled).seconds) * rate)
    spareFilled = now
    return Int(max(0, spareCount))
  }

  /// The piece held by the fewest that the member lacks, while there is a budget for it.
  private mutating func spare(for index: Int, now: Instant) -> PieceIndex? {
    guard sparePieceCount(now: now) >= 1 else { return nil }
    var best: PieceIndex?
    held(index).inverted.forEach { piece in
      guard leaseCount(of: piece) == 0 else { return }
      if best.map({ holderCount(of: piece) < holderCount(of: $0) }) ?? true { best = piece }
    }
    if best != nil { spareCount -= 1 }
    return best
  }

  /// Leases of others for pieces that the member lacks, latest first: with whom, and until when.
  /// Those that it was told of are not told again, unless it starves: an answer may have been lost.
  /// A member that stays near gets what it lacks from its site: a few say that the origin has not
  /// forgotten it, all of them would crowd the line between.
  mutating func promised(
    to index: Int, isStarving: Bool
  ) -> [(slot: UInt32, run: PieceRun, expected: Instant)] {
    let newCount = isStarving ? .max : Int(grantCount &- members[index].toldGrantCount)
    members[index].toldGrantCount = grantCount
    guard newCount > 0, !grants.isEmpty else { return [] }
    var found: [(slot: UInt32, run: PieceRun, expected: Instant)] = []
    let countMax =
      staysNear(index) ? Self.nearPromiseCountMax : PackageReferral.promiseCountMax
    let slot = members[index].slot
    for grant in grants.suffix(newCount).reversed() where grant.slot != slot {
      guard found.count < countMax else { break }
      let isOpen = grant.run.indices.contains {
        leaseCount(of: PieceIndex($0)) > 0 && !holds(PieceIndex($0), at: index)
      }
      if isOpen { found.append(grant) }
    }
    return found
  }
}

/// How much a member is told of others.
extension PackageTable {
  /// How many sources to name to a member, the origin included: all when it is new, starves, or the
  /// swarm has grown by a quarter since. Else a few, so that it goes on meeting others; in a large
  /// swarm, where it knows enough of them, a few in every fourth answer and none in the others.
  mutating func sourceCount(
    for index: Int, isStarving: Bool, _ limits: TrackerLimits
  ) -> Int {
    let told = Int(members[index].toldMemberCount)
    if isStarving || members.count > told + told / 4 {
      members[index].toldMemberCount = UInt32(clamping: members.count)
      return limits.sourceCountMax
    }
    let isPause =
      members.count > limits.sampleCountMax
      && members[index].countAnswer() % limits.answersPerFreshSources != 0
    return isPause ? 0 : limits.freshSourceCountMax
  }
}
