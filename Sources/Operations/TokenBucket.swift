package import Content

/// A rate with room for a burst: `rate` tokens arrive each second and at most `burst` wait.
package struct TokenBucket: Sendable {
  package let rate: Double
  package let burst: Double
  private var tokens: Double
  private var refilled: Instant

  package init(rate: Double, burst: Double, now: Instant) {
    precondition(rate > 0 && burst > 0, "a bucket fills")
    self.rate = rate
    self.burst = burst
    tokens = burst
    refilled = now
  }

  /// Takes `amount` when it is there, else nothing.
  package mutating func take(_ amount: Double, now: Instant) -> Bool {
    refill(now)
    guard tokens >= amount else { return false }
    tokens -= amount
    return true
  }

  /// Takes `amount` even into debt: for what is only known afterwards.
  package mutating func charge(_ amount: Double, now: Instant) {
    refill(now)
    tokens -= amount
  }

  /// How long until `amount` is there.
  package mutating func delay(for amount: Double, now: Instant) -> Duration {
    refill(now)
    return tokens >= amount ? .zero : .nanoseconds(Int64((amount - tokens) / rate * 1e9) + 1)
  }

  private mutating func refill(_ now: Instant) {
    tokens = min(burst, tokens + max(0, (now - refilled).seconds) * rate)
    refilled = max(refilled, now)
  }
}
