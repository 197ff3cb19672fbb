/// A reading of a monotonic clock, or of a simulator's: the pure rooms are told the time, they
/// never ask for it.
public struct Instant: Hashable, Sendable, Comparable {
  public static let zero = Instant(nanoseconds: 0)

  public let nanoseconds: Int64

  @inlinable
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// What lies beyond the clock's ends is moved to them: a wait without end is never over at once.
  @inlinable
  public static func + (instant: Instant, duration: Duration) -> Instant {
    let added = duration.nanoseconds
    let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(added)
    return Instant(nanoseconds: overflow ? (added < 0 ? .min : .max) : sum)
  }

  @inlinable
  public static func - (instant: Instant, duration: Duration) -> Instant {
    Instant(nanoseconds: difference(instant.nanoseconds, duration.nanoseconds))
  }

  @inlinable
  public static func - (later: Instant, earlier: Instant) -> Duration {
    .nanoseconds(difference(later.nanoseconds, earlier.nanoseconds))
  }

  @inlinable
  static func difference(_ left: Int64, _ right: Int64) -> Int64 {
    let (difference, overflow) = left.subtractingReportingOverflow(right)
    return overflow ? (left < 0 ? .min : .max) : difference
  }

  @inlinable
  public static func < (left: Instant, right: Instant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  @inlinable
  public static func == (left: Instant, right: Instant) -> Bool {
    left.nanoseconds == right.nanoseconds
  }

  // The standard library's own would ask for `<` through a table, and time is compared everywhere.
  @inlinable
  public static func > (left: Instant, right: Instant) -> Bool { right < left }

  @inlinable
  public static func <= (left: Instant, right: Instant) -> Bool { !(right < left) }

  @inlinable
  public static func >= (left: Instant, right: Instant) -> Bool { !(left < right) }
}

extension Duration {
  /// Whole nanoseconds; durations beyond 292 years are cut to the nearest representable.
  @inlinable
  public var nanoseconds: Int64 {
    // Those below nine seconds, nearly all, need no division of 128 bits.
    if let few = Int64(exactly: attoseconds) { return few / 1_000_000_000 }
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow || carry ? (seconds < 0 ? .min : .max) : sum
  }

  public var seconds: Double { Double(nanoseconds) / 1e9 }
}
