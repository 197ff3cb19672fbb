import Content

/// When a peer's loop comes to what has happened: at once, or in a crowd in turns that begin some
/// time apart.
struct LoopTurns: Sendable {
  /// From the beginning of one turn to that of the next; zero where nothing waits.
  var interval: Duration = .zero
  /// When the last turn began.
  private var start = Instant(nanoseconds: -1_000_000_000_000)
  /// What waits for the next turn, in the order in which it came.
  private var waiting: [SimulationEvent] = []

  /// What happens now is dealt with now, and a turn begins with it unless one is under way.
  mutating func comesAtOnce(now: Instant) -> Bool {
    guard waiting.isEmpty, now == start || now - start >= interval else { return false }
    start = now
    return true
  }

  /// - Returns: when the next turn begins, if this is the first that waits for it.
  mutating func keep(_ event: SimulationEvent) -> Instant? {
    waiting.append(event)
    return waiting.count == 1 ? start + interval : nil
  }

  /// Begins a turn with all that waited.
  mutating func take(now: Instant) -> [SimulationEvent] {
    start = now
    defer { waiting = [] }
    return waiting
  }
}
