package import Content
import DequeModule

/// A question the origin puts to a peer others complain of: does it send this piece, and is it
/// right? Asked at the address the peer's own announces come from, never at one that a third party
/// named.
package struct SourceCheck: Hashable, Sendable {
  package var peer: PeerID
  package var endpoint: Endpoint
  package var package: PackageID
  package var piece: PieceIndex
  /// It is asked by TLS, as it serves.
  package var speaksTLS: Bool

  package init(
    peer: PeerID, endpoint: Endpoint, package id: PackageID, piece: PieceIndex,
    speaksTLS: Bool = false
  ) {
    self.peer = peer
    self.endpoint = endpoint
    self.package = id
    self.piece = piece
    self.speaksTLS = speaksTLS
  }

  package enum Outcome: Hashable, Sendable {
    /// The piece came and is right.
    case right
    /// The piece came and is not what the package has there.
    case wrong
    /// It answered, though not with the piece: it is busy, or has evicted it.
    case unanswered
    /// No connection, or no answer on it.
    case unreachable
  }
}

/// The checks that wait for the shell and those under way. One at a time for a peer; a peer that
/// just passed is left in peace.
struct CheckQueue: Sendable {
  static let waitingCountMax = 256
  static let runningCountMax = 8
  /// How long the answer to a check stands.
  static let rest: Duration = .seconds(2)
  private static let recentCountMax = 1_024

  private var waiting: Deque<SourceCheck> = []
  private var running: [SourceCheck] = []
  private var recent: Deque<(check: SourceCheck, outcome: SourceCheck.Outcome, at: Instant)> = []

  enum Answer: Hashable, Sendable {
    case awaited
    /// It was asked a moment ago.
    case known(SourceCheck.Outcome)
    /// It cannot be asked, or there is no room: the complaint is judged without.
    case none
  }

  mutating func add(_ check: SourceCheck, now: Instant) -> Answer {
    while let first = recent.first, now - first.at >= Self.rest { recent.removeFirst() }
    if let known = recent.last(where: { $0.check == check }) { return .known(known.outcome) }
    if waiting.contains(check) || running.contains(check) { return .awaited }
    guard waiting.count < Self.waitingCountMax else { return .none }
    waiting.append(check)
    return .awaited
  }

  mutating func next() -> SourceCheck? {
    guard running.count < Self.runningCountMax,
      let position = waiting.firstIndex(where: { check in
        !running.contains { $0.peer == check.peer }
      })
    else { return nil }
    let check = waiting.remove(at: position)
    running.append(check)
    return check
  }

  /// False for a check that is not under way.
  mutating func finish(
    _ check: SourceCheck, _ outcome: SourceCheck.Outcome, now: Instant
  ) -> Bool {
    guard let position = running.firstIndex(of: check) else { return false }
    running.remove(at: position)
    if recent.count >= Self.recentCountMax { recent.removeFirst() }
    recent.append((check, outcome, now))
    return true
  }

  /// What is asked of a peer that is gone is not asked.
  mutating func forget(_ peer: PeerID) {
    waiting.removeAll { $0.peer == peer }
  }
}
