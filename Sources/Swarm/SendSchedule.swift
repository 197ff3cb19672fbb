package import Content

/// Spreads bytes evenly over time: each reservation gets the moment when those before it are through
/// (the virtual scheduling of ITU-T I.371). A pause earns a fiftieth of a second of sending at once.
package struct SendSchedule: Sendable {
  private static let burst: Duration = .milliseconds(20)

  private let byteRate: Int
  private var next: Instant?

  package init(byteRate: Int) {
    precondition(byteRate > 0, "a rate lets something through")
    self.byteRate = byteRate
  }

  /// How long to wait before `byteCount` bytes may go; the next reservation comes behind them.
  package mutating func reserve(byteCount: Int, now: Instant) -> Duration {
    let start = max(next ?? now, now - Self.burst)
    let seconds = Double(max(0, byteCount)) / Double(byteRate)
    next = start + .nanoseconds(Int64(min(seconds, 86_400) * 1e9))
    return max(.zero, start - now)
  }
}
