import CLinux
package import Content

/// The machine's clocks. Only loops and the roles' mains read them; everything else is told.
package enum Clock {
  /// CLOCK_MONOTONIC: never steps, says nothing about the date.
  package static func now() -> Instant { Instant(nanoseconds: read(CLOCK_MONOTONIC)) }

  /// Since 1970, UTC.
  package static func wallNanoseconds() -> Int64 { read(CLOCK_REALTIME) }

  /// Since 1970, UTC.
  package static func wallSeconds() -> Int { Int(wallNanoseconds() / 1_000_000_000) }

  /// The calling thread does nothing for so long; a signal ends it early.
  package static func rest(_ duration: Duration) {
    guard duration > .zero else { return }
    let (seconds, nanoseconds) = duration.nanoseconds.quotientAndRemainder(
      dividingBy: 1_000_000_000)
    var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    nanosleep(&time, nil)
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    let result = clock_gettime(clock, &time)
    precondition(result == 0)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
