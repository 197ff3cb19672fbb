/// How often a node tells followers of new pieces. A message costs both ends, and all between them,
/// about as much as a packet full of content, whatever it says: who gains pieces slowly tells of them
/// in longer turns, and each message says as much.
package enum NewsPace {
  /// What a turn is to tell of.
  package static let turnByteCount = 240 << 10
  package static let turnIntervals: ClosedRange<Duration> = .milliseconds(20)...(.milliseconds(60))

  /// From one turn to the next of a node that gains so many bytes a second, 0 when that is not
  /// known.
  package static func turnInterval(byteRate: Int) -> Duration {
    interval(of: turnByteCount, byteRate: byteRate, within: turnIntervals)
  }

  /// The time in which so many bytes come, within bounds; the least when the rate is 0, not known.
  package static func interval(
    of byteCount: Int, byteRate: Int, within bounds: ClosedRange<Duration>
  ) -> Duration {
    guard byteRate > 0 else { return bounds.lowerBound }
    let time = Duration.nanoseconds(1_000_000_000 * byteCount / byteRate)
    return min(max(time, bounds.lowerBound), bounds.upperBound)
  }
}
