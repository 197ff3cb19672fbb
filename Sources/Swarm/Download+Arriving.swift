import Content
import DequeModule

/// Pieces that nobody has yet and some neighbour is about to have, since the origin sends them to it:
/// asked of it at once, they come block by block behind its own receipt. Where a piece takes long on
/// its way, the first to get it so pass it on while their own lines would wait for it.
extension Download {
  /// Small pieces travel on soon enough: to ask ahead would only cost requests.
  package var asksForArriving: Bool { geometry.pieceByteCount >= limits.arrivingPieceByteCountMin }

  /// When those that hold something have nothing more to be asked for. What is asked for here comes
  /// no faster than its sender gets it, so it is little at a time.
  mutating func fetchArriving(
    now: Instant, chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    guard asksForArriving, !promised.isEmpty, !needed.isEmpty else { return }
    var count = requests.count { $0.isArriving }
    while count < limits.arrivingRequestCountMax,
      let (index, piece) = arrivingChoice(now: now, chance: &chance)
    {
      send(PieceRun(piece), to: index, isArriving: true, now: now, effects: &effects)
      count += 1
    }
  }

  /// Any of the pieces that are promised and that no neighbour has, of one that has nothing else to do
  /// for us.
  private func arrivingChoice(
    now: Instant, chance: inout SeededGenerator
  ) -> (index: Int, piece: PieceIndex)? {
    var choice: (index: Int, piece: PieceIndex)?
    var count: UInt64 = 0
    for promise in promised where promise.until > now && promise.notBefore <= now {
      guard let index = neighbourIndex(promise.holder), mayBeAskedAhead(index, now: now) else {
        continue
      }
      for piece in promise.run.pieces
      where needed.contains(piece) && availability[piece.rawValue] == 0 {
        count += 1
        if chance.next() % count == 0 { choice = (index, piece) }
      }
    }
    return choice
  }

  /// Behind a response that comes no faster than its sender gets it, no other is to wait.
  func isAskedAhead(_ index: Int) -> Bool {
    asksForArriving && neighbours[index].outstandingCount > 0
      && requests.contains { $0.isArriving && $0.source == neighbours[index].id }
  }

  /// The sender may be waiting for its own source, so its silence is not held against it.
  mutating func giveUpArriving(_ request: Request, now: Instant, effects: inout [Effect]) {
    guard let position = requests.firstIndex(where: { $0.id == request.id }) else { return }
    giveUp(at: position, effects: &effects)
    isNotArriving(request.run.first, at: request.source, now: now)
  }

  private func mayBeAskedAhead(_ index: Int, now: Instant) -> Bool {
    neighbours[index].outstandingCount == 0 && neighbours[index].stream == .open
      && neighbours[index].busyUntil <= now && neighbours[index].isUsable(now: now)
      && (!site.staysNear || neighbours[index].source.isNear)
  }

  /// It does not receive the piece now, or no longer. What it promised it may still keep.
  mutating func isNotArriving(_ piece: PieceIndex, at peer: PeerID, now: Instant) {
    for place in promised.indices
    where promised[place].holder == peer && promised[place].run.contains(piece) {
      promised[place].notBefore = now + limits.arrivingRetryDelay
    }
  }
}
