import Content
import Testing

@testable import Operations

/// A bucket that an expectation may draw from.
private final class Well {
  private var bucket: TokenBucket

  init(rate: Double, burst: Double, now: Instant) {
    bucket = TokenBucket(rate: rate, burst: burst, now: now)
  }

  func take(_ amount: Double, now: Instant) -> Bool { bucket.take(amount, now: now) }
  func charge(_ amount: Double, now: Instant) { bucket.charge(amount, now: now) }
  func delay(for amount: Double, now: Instant) -> Duration { bucket.delay(for: amount, now: now) }
}

@Suite struct TokenBucketTests {
  private static func at(_ milliseconds: Int) -> Instant {
    Instant.zero + .milliseconds(milliseconds)
  }

  @Test func aBurstIsAllThatWaits() {
    let bucket = Well(rate: 10, burst: 5, now: Self.at(0))
    #expect(bucket.take(5, now: Self.at(0)))
    #expect(!bucket.take(1, now: Self.at(99)))
    #expect(bucket.take(1, now: Self.at(100)))
    #expect(!bucket.take(6, now: Self.at(3_600_000)))
    #expect(bucket.take(5, now: Self.at(3_600_000)))
  }

  @Test func whatIsRefusedIsNotTaken() {
    let bucket = Well(rate: 1, burst: 4, now: Self.at(0))
    #expect(!bucket.take(5, now: Self.at(0)))
    #expect(bucket.take(4, now: Self.at(0)))
  }

  @Test func aDebtIsWaitedFor() {
    let bucket = Well(rate: 100, burst: 10, now: Self.at(0))
    bucket.charge(60, now: Self.at(0))
    let delay = bucket.delay(for: 10, now: Self.at(0))
    #expect(delay >= .milliseconds(600) && delay < .milliseconds(601))
    #expect(!bucket.take(10, now: Self.at(599)))
    #expect(bucket.take(10, now: Self.at(601)))
    #expect(bucket.delay(for: 0, now: Self.at(601)) == .zero)
  }

  @Test func anEarlierMomentPaysNothing() {
    let bucket = Well(rate: 10, burst: 10, now: Self.at(1_000))
    #expect(bucket.take(10, now: Self.at(1_000)))
    #expect(!bucket.take(1, now: Self.at(0)))
    #expect(!bucket.take(1, now: Self.at(1_050)))
    #expect(bucket.take(1, now: Self.at(1_100)))
  }
}
