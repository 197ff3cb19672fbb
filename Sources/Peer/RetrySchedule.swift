import Content

/// When to ask an origin again that does not answer: a crowd that starts at once fills its line, and
/// who gives up then is lost for good. The pauses double, jittered so that the crowd spreads.
struct RetrySchedule {
  private static let delay = Duration.milliseconds(250)...(.seconds(4))

  /// How long after the first question the last one may be asked.
  let patience: Duration
  private let start: Instant
  private var failureCount = 0
  /// In a row, and from as many places as there are.
  private var unreachableCount = 0

  init(now: Instant, patience: Duration = .seconds(60)) {
    start = now
    self.patience = patience
  }

  /// How long to wait before asking again; nil when it is no use.
  /// - Parameters:
  ///   - isUnreachable: the place said no at once: nobody listens there. A name may have more places,
  ///     and each of `placeCount` is tried once.
  ///   - hadAnswered: the connection was kept from before, and most likely had just been ended by the
  ///     other side because it was idle.
  mutating func next(
    isUnreachable: Bool, placeCount: Int, hadAnswered: Bool = false, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Duration? {
    unreachableCount = isUnreachable ? unreachableCount + 1 : 0
    if isUnreachable { return unreachableCount < placeCount ? .zero : nil }
    if hadAnswered, failureCount == 0 {
      failureCount = 1
      return .zero
    }
    let base = min(Self.delay.lowerBound * (1 << min(failureCount, 10)), Self.delay.upperBound)
    failureCount += 1
    let wait = Duration.nanoseconds(
      Int64.random(in: (base / 2).nanoseconds...base.nanoseconds, using: &rng))
    return now + wait - start <= patience ? wait : nil
  }

  /// The server is there and says when to come back; nil when that has gone on for too long.
  func next(wish: Duration, now: Instant) -> Duration? {
    let wait = min(max(wish, Self.delay.lowerBound), Self.wishMax)
    return now + wait - start <= patience ? wait : nil
  }

  private static let wishMax = Duration.seconds(10)
}
