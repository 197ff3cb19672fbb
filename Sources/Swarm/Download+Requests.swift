import Content
import DequeModule

/// How fetches go.
extension Download {
  mutating func progressed(
    _ id: RequestID, byteCount: Int, now: Instant, effects: inout [Effect]
  ) {
    guard let position = requests.firstIndex(where: { $0.id == id }), byteCount > 0,
      let index = neighbourIndex(requests[position].source)
    else { return }
    let request = requests[position]
    if request.firstByte == nil {
      requests[position].firstByte = now
      neighbours[index].history.waited(now - max(request.start, neighbours[index].lastFinish))
    }
    neighbours[index].lastProgress = now
    lastArrival = now
    speed.add(byteCount: byteCount, now: now)
    if !request.source.isOrigin {
      measurePeers(byteCount: byteCount, now: now)
      width.add(byteCount: byteCount, now: now)
    }
    if request.isProbe { giveUp(at: position, effects: &effects) }
  }

  mutating func arrived(
    _ piece: PieceIndex, _ id: RequestID, now: Instant, effects: inout [Effect]
  ) {
    guard let position = requests.firstIndex(where: { $0.id == id }),
      requests[position].awaits(piece), let index = neighbourIndex(requests[position].source)
    else { return }
    let byteCount = geometry.byteRange(of: piece).count
    if isOver(piece, besides: requests[position]) {
      hedges.wastedPieceCount += 1
    } else if requests[position].isHedge, !requests[position].hasWon {
      requests[position].hasWon = true
      hedges.wonRequestCount += 1
    }
    requests[position].next = piece.rawValue + 1
    requests[position].byteCount += byteCount
    neighbours[index].lastProgress = now
    neighbours[index].byteCount += byteCount
    neighbours[index].refusalCount = 0
    lastArrival = now
    cancelDuplicates(of: piece, except: id, now: now, effects: &effects)
  }

  /// Another fetch whose last pieces came on other ways is not needed any more. One whose source is
  /// silent goes on until that says something: else nobody would find out that it is gone.
  private mutating func cancelDuplicates(
    of piece: PieceIndex, except id: RequestID, now: Instant, effects: inout [Effect]
  ) {
    for position in requests.indices.reversed() {
      let request = requests[position]
      guard request.id != id, request.awaits(piece),
        request.rest.allSatisfy({
          $0 == piece.rawValue || isOver(PieceIndex($0), besides: request)
        })
      else { continue }
      if isSilent(request, now: now) {
        requests[position].isProbe = true
      } else {
        cancelRequest(at: position, effects: &effects)
      }
    }
  }

  @discardableResult
  private mutating func cancelRequest(at position: Int, effects: inout [Effect]) -> Request {
    let request = requests.remove(at: position)
    effects.append(.cancel(request.id))
    if let index = neighbourIndex(request.source) { neighbours[index].outstandingCount -= 1 }
    return request
  }

  /// Cancels a request; what it still awaits is somebody else's task.
  mutating func giveUp(at position: Int, effects: inout [Effect]) {
    giveBack(cancelRequest(at: position, effects: &effects))
  }

  mutating func verified(_ piece: PieceIndex) {
    guard piece.rawValue < geometry.pieceCount, held.insert(piece) else { return }
    needed.remove(piece)
    busy.remove(piece)
    trimLeases()
  }

  /// A piece was found wrong before all of it had come: the rest is not waited for.
  mutating func cutShort(_ id: RequestID, before piece: PieceIndex, effects: inout [Effect]) {
    guard let position = requests.firstIndex(where: { $0.id == id }),
      requests[position].awaits(piece)
    else { return }
    giveUp(at: position, effects: &effects)
  }

  mutating func rejected(
    _ piece: PieceIndex, culprit: PeerID?, now: Instant, effects: inout [Effect]
  ) {
    guard piece.rawValue < geometry.pieceCount else { return }
    busy.remove(piece)
    release(piece)
    for position in requests.indices where requests[position].awaits(piece) {
      requests[position].isProbe = false
    }
    guard let culprit, let index = neighbourIndex(culprit) else { return }
    neighbours[index].rejectedPieceCount += 1
    if culprit.isOrigin {
      // Its digests are believed, so the bytes were spoilt on the way: again, a little later.
      neighbours[index].penaltyUntil = now + limits.originRetryDelay
    } else {
      ban(culprit, effects: &effects)
      complain(.corrupt, of: culprit, piece: piece)
      talk.isUrgent = true
    }
  }

  mutating func finished(
    _ id: RequestID, _ outcome: FetchOutcome, now: Instant, chance: inout SeededGenerator,
    effects: inout [Effect]
  ) {
    guard let position = requests.firstIndex(where: { $0.id == id }) else { return }
    let request = requests.remove(at: position)
    giveBack(request)
    guard let index = neighbourIndex(request.source) else { return }
    neighbours[index].outstandingCount -= 1
    if request.byteCount > 0 {
      neighbours[index].measure(byteCount: request.byteCount, start: request.start, now: now)
    }
    switch outcome {
    case .complete:
      neighbours[index].failureCount = 0
    case .busy(let retryAfter):
      if !request.source.isOrigin { width.refused() }
      let refusals = min(neighbours[index].refusalCount + 1, 6)
      neighbours[index].refusalCount = refusals
      let asked = min(max(retryAfter, limits.busyDelay.lowerBound), limits.busyDelay.upperBound)
      let base = min(asked * (1 << ((refusals - 1) / 2)), limits.busyDelay.upperBound)
      neighbours[index].busyUntil = now + chance.duration(in: (base / 2)...(base * 3 / 2))
    case .notHeld where request.isArriving, .brokenOff:
      isNotArriving(request.run.first, at: request.source, now: now)
    case .notHeld:
      for piece in request.run.pieces { unhold(PieceRun(piece), at: request.source) }
      if request.source.isOrigin { backOff(index, now: now, chance: &chance) }
    case .failed:
      failed(index, .dead, request: request, now: now, chance: &chance, effects: &effects)
    case .stalled:
      failed(index, .stalled, request: request, now: now, chance: &chance, effects: &effects)
    }
  }

  mutating func failed(
    _ index: Int, _ kind: Complaint.Kind, request: Request, now: Instant,
    chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    backOff(index, now: now, chance: &chance)
    let peer = neighbours[index].id
    guard !peer.isOrigin else {
      cancelRequests(at: peer, effects: &effects)
      return
    }
    complain(kind, of: peer, piece: PieceIndex(request.next < request.run.end ? request.next : 0))
    leave(index, until: neighbours[index].penaltyUntil, effects: &effects)
  }

  /// The first failure of a source costs the penalty time (the origin: a quarter of a second), each
  /// further one twice as much, up to 16 times.
  private mutating func backOff(_ index: Int, now: Instant, chance: inout SeededGenerator) {
    neighbours[index].failureCount += 1
    let base =
      neighbours[index].id.isOrigin ? limits.originRetryDelay : limits.penaltyTime
    let delay = base * (1 << min(neighbours[index].failureCount - 1, 4))
    neighbours[index].penaltyUntil = now + chance.duration(in: (delay / 2)...delay)
  }

  /// What did not arrive is free again, unless somebody else was asked for it too.
  mutating func giveBack(_ request: Request) {
    for rawValue in request.rest {
      let piece = PieceIndex(rawValue)
      let othersCount = requests.count { $0.id != request.id && $0.awaits(piece) }
      if othersCount > 0 {
        if othersCount == 1 { hedged.remove(piece) }
      } else if !hedged.contains(piece) {
        busy.remove(piece)
        release(piece)
      }
    }
    if request.isHedge { hedges.pieceCount -= request.rest.count }
  }

  /// A piece that is nobody's task: needed, unless it is held or the origin's lease covers it.
  func isLeased(_ piece: PieceIndex) -> Bool { leased.contains { $0.run.contains(piece) } }

  mutating func release(_ piece: PieceIndex) {
    guard isInScope(piece), !held.contains(piece), !busy.contains(piece), !isLeased(piece) else {
      return
    }
    needed.insert(piece)
    hedged.remove(piece)
  }

  mutating func evicted(_ run: PieceRun) {
    for piece in run.pieces where held.remove(piece) { release(piece) }
  }

  mutating func complain(_ kind: Complaint.Kind, of peer: PeerID, piece: PieceIndex) {
    guard talk.complaints.count < PackageReport.complaintCountMax else { return }
    talk.complaints.append(Complaint(source: peer, kind: kind, piece: piece))
  }

  /// Looks at all, and notes when the next of them can be silent for too long: progress and new
  /// requests only make it later.
  private mutating func leaveSilent(
    now: Instant, chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    var next = now + limits.stallTime
    for index in neighbours.indices where neighbours[index].outstandingCount > 0 {
      let silentAt = neighbours[index].lastProgress + limits.stallTime
      guard silentAt <= now else {
        next = min(next, silentAt)
        continue
      }
      let peer = neighbours[index].id
      guard let request = requests.first(where: { $0.source == peer }) else {
        next = now
        continue
      }
      if request.isArriving {
        giveUpArriving(request, now: now, effects: &effects)
      } else {
        failed(index, .stalled, request: request, now: now, chance: &chance, effects: &effects)
      }
    }
    stallNotBefore = next
  }

  /// Leaves silent sources; forgets leases and promises that are over.
  mutating func watch(now: Instant, chance: inout SeededGenerator, effects: inout [Effect]) {
    if stallNotBefore <= now { leaveSilent(now: now, chance: &chance, effects: &effects) }
    if leased.contains(where: { $0.deadline <= now }) {
      let over = leased.filter { $0.deadline <= now }
      leased.removeAll { $0.deadline <= now }
      for lease in over { lease.run.pieces.forEach { release($0) } }
    }
    forgetPromises(now: now)
    if requests.isEmpty, !isSettled, now - lastArrival >= limits.patience {
      hasGivenUp = true
      effects.append(.gaveUp(.nobodyHasIt))
    }
  }
}
