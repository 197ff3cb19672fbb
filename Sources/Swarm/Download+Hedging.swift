import Content

/// What was asked for a second time of another source.
package struct HedgeTally: Hashable, Sendable {
  /// Second requests.
  package internal(set) var requestCount = 0
  /// Of those, the ones that brought a piece before the first source did.
  package internal(set) var wonRequestCount = 0
  /// Pieces asked for twice.
  package internal(set) var pieceCount = 0
  /// Of those, pieces that came from both.
  package internal(set) var wastedPieceCount = 0
}

/// The tail: nothing is left to ask for, or a reader waits, and a source takes longer than it ever
/// does. What it owes is asked of a second one too; the first to deliver wins.
///
/// Invariant: a piece in `hedged` was asked for twice since it was last needed. One that no request
/// awaits any more has come and is being verified, or is held.
extension Download {
  mutating func fetchHedges(
    now: Instant, chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    guard hedges.pieceCount < hedgeCountMax else { return }
    let isTail = isTail
    let awaited = awaitedByReader
    guard isTail || awaited != nil else { return }
    var underWay = 0
    for position in requests.indices where requests[position].isHedge {
      underWay += requests[position].rest.count
    }
    for request in requests {
      let room = min(limits.hedgeUnderWayMax - underWay, hedgeCountMax - hedges.pieceCount)
      guard room > 0 else { return }
      guard !request.isProbe, isTail || awaited.map(request.awaits) ?? false,
        isOverdue(request, now: now),
        let run = unhedged(of: request, now: now),
        let index = hedgeSource(of: run, besides: request.source, now: now, chance: &chance)
      else { continue }
      let part = hedgePart(of: run, from: index, countMax: room)
      send(part, to: index, now: now, effects: &effects)
      requests[requests.count - 1].isHedge = true
      hedges.requestCount += 1
      hedged.insert(part)
      hedges.pieceCount += part.count
      underWay += part.count
    }
  }

  /// Second requests that are over and brought nothing first.
  package var lostHedgeCount: Int {
    let openCount = requests.count { $0.isHedge && !$0.hasWon }
    return hedges.requestCount - hedges.wonRequestCount - openCount
  }

  /// What is left to ask for is no more than what is under way: no source has much to do any more.
  // Inlined: a call would copy all of the download.
  @inline(__always)
  private var isTail: Bool {
    var left = leased.reduce(needed.count) { $0 + $1.run.count }
    for position in requests.indices where !requests[position].isProbe {
      left -= requests[position].rest.count
    }
    return left <= 0
  }

  /// The piece a reader stands at, when it is under way.
  @inline(__always)
  private var awaitedByReader: PieceIndex? {
    for run in wantedRuns {
      let needed = needed.first(from: run.first.rawValue).flatMap { run.contains($0) ? $0 : nil }
      if let piece = busy.first(from: run.first.rawValue), run.contains(piece) {
        return needed.map { $0 < piece } ?? false ? nil : piece
      }
      if needed != nil { return nil }
    }
    return nil
  }

  /// Later than its source's own history says. Requests at one source are answered in turn: the
  /// second begins when the first is over.
  private func isOverdue(_ request: Request, now: Instant) -> Bool { due(request) <= now }

  /// It is late, and nothing has come from its source for as long as that never waits.
  func isSilent(_ request: Request, now: Instant) -> Bool {
    guard isOverdue(request, now: now), let index = neighbourIndex(request.source) else {
      return false
    }
    return now - neighbours[index].lastProgress
      >= max(neighbours[index].history.longestWait, limits.hedgeAge)
  }

  private func due(_ request: Request) -> Instant {
    guard let index = neighbourIndex(request.source) else { return request.start }
    let history = neighbours[index].history
    var ahead = 0
    for other in requests where other.source == request.source && other.id < request.id {
      ahead += other.rest.count * geometry.pieceByteCount
    }
    let begin = max(request.start, neighbours[index].lastFinish)
    var longest = history.longestService(byteCount: ahead)
    if request.firstByte == nil {
      longest += history.longestWait
    } else if history.isEmpty {
      // It sends, and nothing says how fast that should be.
      return neighbours[index].lastProgress + limits.hedgeAge
    } else {
      longest += history.longestService(byteCount: request.run.count * geometry.pieceByteCount)
    }
    return begin + max(longest, limits.hedgeAge)
  }

  /// The next moment at which a request will be overdue.
  func nextOverdue(now: Instant) -> Instant? {
    guard hedges.pieceCount < hedgeCountMax, isTail || awaitedByReader != nil else { return nil }
    var next: Instant?
    for request in requests where !request.isProbe {
      let due = due(request)
      guard due > now || unhedged(of: request, now: now) != nil else { continue }
      let moment = max(due, now + limits.hedgePause)
      next = min(next ?? moment, moment)
    }
    return next
  }

  /// What the request still awaits and nobody else was asked for, at its end: its own source goes on
  /// from the front.
  private func unhedged(of request: Request, now: Instant) -> PieceRun? {
    guard
      let last = request.rest.last(where: { isOpen(PieceIndex($0), besides: request, now: now) })
    else { return nil }
    var first = last
    while first > request.rest.lowerBound, isOpen(PieceIndex(first - 1), besides: request, now: now)
    {
      first -= 1
    }
    // A source that sends is only slow: the half that it would come to last is enough.
    if request.firstByte != nil { first += (last - first + 1) / 2 }
    return PieceRun(first: PieceIndex(first), count: last - first + 1)
  }

  /// It did not come yet, and all who were asked for it are late.
  private func isOpen(_ piece: PieceIndex, besides request: Request, now: Instant) -> Bool {
    !isOver(piece, besides: request)
      && !requests.contains {
        $0.id != request.id && $0.awaits(piece) && !isOverdue($0, now: now)
      }
  }

  /// The better of two idle holders of the run's end. What crosses into a site crosses once: a second
  /// copy would only crowd the line between.
  private func hedgeSource(
    of run: PieceRun, besides peer: PeerID, now: Instant, chance: inout SeededGenerator
  ) -> Int? {
    let idle = mayBeAsked(now: now) { $0 == 0 }.filter {
      neighbours[$0].id != peer && (!site.staysNear || neighbours[$0].source.isNear)
    }
    return source(of: run.last, among: idle, chance: &chance)
  }

  private func hedgePart(of run: PieceRun, from index: Int, countMax: Int) -> PieceRun {
    var first = run.end
    while first > run.first.rawValue, run.end - first < countMax,
      offers(PieceIndex(first - 1), index)
    {
      first -= 1
    }
    return PieceRun(first: PieceIndex(first), count: run.end - first)
  }

  /// A few per cent of the package, and of a small one a few pieces.
  private var hedgeCountMax: Int {
    max(limits.hedgeCountMin, geometry.pieceCount / limits.hedgeDivisor)
  }

  /// It came on another way, or comes on this one only.
  func isOver(_ piece: PieceIndex, besides request: Request) -> Bool {
    held.contains(piece)
      || hedged.contains(piece)
        && !requests.contains { $0.id != request.id && $0.awaits(piece) }
  }
}
