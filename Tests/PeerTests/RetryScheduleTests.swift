import Content
import Testing

@testable import Peer

@Suite struct RetryScheduleTests {
  /// The pauses of a schedule whose every question takes `silence` to fail.
  private func pauses(
    silence: Duration, patience: Duration = .seconds(60), seed: UInt64 = 1
  ) -> [Duration] {
    var rng = Sequence64(state: seed)
    var now = Instant.zero
    var schedule = RetrySchedule(now: now, patience: patience)
    var pauses: [Duration] = []
    while pauses.count < 1_000 {
      now = now + silence
      guard
        let pause = schedule.next(isUnreachable: false, placeCount: 1, now: now, rng: &rng)
      else { break }
      pauses.append(pause)
      now = now + pause
    }
    return pauses
  }

  @Test func pausesDoubleToFourSecondsWithinTheirJitter() {
    for seed in UInt64(1)...20 {
      let pauses = pauses(silence: .zero, seed: seed)
      for (index, pause) in pauses.enumerated() {
        let base = min(Duration.milliseconds(250) * (1 << min(index, 8)), .seconds(4))
        #expect(pause <= base && pause >= base / 2)
      }
      // A minute of pauses of at most four seconds.
      #expect(pauses.count >= 15)
      #expect(pauses.reduce(.zero, +) <= .seconds(60))
      #expect(pauses.reduce(.zero, +) > .seconds(55))
    }
  }

  @Test func askingGoesOnForTheWholePatience() {
    let pauses = pauses(silence: .seconds(5))
    #expect(pauses.reduce(.zero) { $0 + $1 + .seconds(5) } > .seconds(50))
    #expect(self.pauses(silence: .seconds(5), patience: .seconds(4)).isEmpty)
  }

  @Test func everyPlaceOfANameIsTriedOnceWhenNobodyListens() {
    var rng = Sequence64(state: 3)
    var schedule = RetrySchedule(now: .zero)
    var answers: [Duration?] = []
    for _ in 0..<3 {
      answers.append(
        schedule.next(isUnreachable: true, placeCount: 3, now: .zero, rng: &rng))
    }
    #expect(answers == [.zero, .zero, nil])
  }

  @Test func aKeptConnectionThatEndedIsReplacedAtOnce() throws {
    var rng = Sequence64(state: 3)
    var schedule = RetrySchedule(now: .zero)
    #expect(
      schedule.next(
        isUnreachable: false, placeCount: 1, hadAnswered: true, now: .zero, rng: &rng) == .zero)
    let second = schedule.next(
      isUnreachable: false, placeCount: 1, hadAnswered: true, now: .zero, rng: &rng)
    #expect(try #require(second) > .zero)
  }

  @Test func aBusyOriginsWishIsHonouredWithinBounds() {
    let schedule = RetrySchedule(now: .zero)
    #expect(schedule.next(wish: .seconds(3), now: .zero) == .seconds(3))
    #expect(schedule.next(wish: .zero, now: .zero) == .milliseconds(250))
    #expect(schedule.next(wish: .seconds(1_000_000), now: .zero) == .seconds(10))
    #expect(schedule.next(wish: .seconds(3), now: .zero + .seconds(58)) == nil)
  }
}

/// Numbers that are the same in every run.
private struct Sequence64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}
