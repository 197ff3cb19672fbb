import Content
import Swarm

/// The thread of a peer's store that records pieces, many at a time.
struct IndexTurns: Sendable {
  struct Piece: Sendable {
    let piece: PieceIndex
    let request: RequestID
  }

  /// Hashed and written.
  var waiting: [Piece] = []
  var recorded: PieceSet
  /// Its next turn begins no sooner, unless what waits completes the package.
  var notBefore: Instant = .zero
  /// The transaction under way ends then.
  var busyUntil: Instant = .zero
  /// When the turn that is scheduled begins; earlier ones were overtaken by it.
  var turnAt: Instant?

  init(pieceCount: Int) { recorded = PieceSet(pieceCount: pieceCount) }

  /// - Returns: when a turn is to begin, unless that is known.
  mutating func add(_ piece: Piece, now: Instant) -> Instant? {
    waiting.append(piece)
    let isUrgent = waiting.count >= recorded.pieceCount - recorded.count
    let at = max(now, isUrgent ? busyUntil : notBefore)
    if let turnAt, turnAt <= at { return nil }
    turnAt = at
    return at
  }

  /// - Returns: what is recorded when the transaction, which takes `duration`, is over.
  mutating func takeTurn(
    now: Instant, duration: Duration, interval: Duration
  ) -> [Piece] {
    turnAt = nil
    busyUntil = now + duration
    notBefore = busyUntil + interval
    for piece in waiting { recorded.insert(piece.piece) }
    defer { waiting = [] }
    return waiting
  }
}

extension World {
  /// All bytes of a piece were hashed and, if they are right, written.
  mutating func hashed(_ piece: PieceIndex, _ id: RequestID, at client: Int, culprit: Int?) {
    guard peers[client].life == .up else { return }
    if let culprit { return deliver(.rejects(client, piece, id, culprit: culprit)) }
    let item = IndexTurns.Piece(piece: piece, request: id)
    if let turn = peers[client].index.add(item, now: now) { schedule(.records(client), at: turn) }
  }

  mutating func record(_ client: Int) {
    // A turn that was to come later, but for what completed the package.
    guard peers[client].index.turnAt == now else { return }
    let pieces = peers[client].index.takeTurn(
      now: now, duration: machine.indexTime, interval: machine.indexInterval)
    schedule(.recorded(client, pieces), after: machine.indexTime)
  }
}
