import Content
import Posix
import Reactor
import Testing

@Suite struct TimerTests {
  @Test func fireInTheOrderOfTheirDeadlines() throws {
    let loop = try EventLoop()
    var fired: [Int] = []
    let start = loop.now
    let delays = [7, 3, 9, 1, 5, 2, 8, 4, 6, 0]
    let timers = delays.map { delay in
      let timer = Timer(loop) { fired.append(delay) }
      timer.schedule(at: start + .milliseconds(delay))
      return timer
    }
    while fired.count < timers.count { loop.turn(waits: true) }
    #expect(fired == delays.sorted())
    #expect(timers.allSatisfy { !$0.isScheduled })
  }

  @Test func neverEarly() throws {
    let loop = try EventLoop()
    for delay in [Duration.microseconds(300), .milliseconds(5)] {
      let deadline = Clock.now() + delay
      var firedAt: Instant?
      let timer = Timer(loop) { firedAt = Clock.now() }
      timer.schedule(at: deadline)
      while firedAt == nil { loop.turn(waits: true) }
      #expect(try #require(firedAt) >= deadline)
    }
  }

  @Test func movedLaterEarlierAndCancelled() throws {
    let loop = try EventLoop()
    var fired: [String] = []
    let later = Timer(loop) { fired.append("later") }
    let earlier = Timer(loop) { fired.append("earlier") }
    let cancelled = Timer(loop) { fired.append("cancelled") }
    let again = Timer(loop) { fired.append("again") }
    later.schedule(after: .milliseconds(1))
    later.schedule(after: .milliseconds(8))
    earlier.schedule(after: .seconds(100))
    earlier.schedule(after: .milliseconds(4))
    cancelled.schedule(after: .milliseconds(2))
    cancelled.cancel()
    again.schedule(after: .milliseconds(1))
    again.cancel()
    again.schedule(after: .milliseconds(2))
    while fired.count < 3 { loop.turn(waits: true) }
    #expect(fired == ["again", "earlier", "later"])
    #expect(!cancelled.isScheduled)
  }

  @Test func theDeadDoNotFire() throws {
    let loop = try EventLoop()
    var fired: [Int] = []
    var timers: [Timer?] = (0..<50).map { number in
      let timer = Timer(loop) { fired.append(number) }
      timer.schedule(after: .microseconds(number * 100))
      return timer
    }
    for index in timers.indices where index % 3 != 0 { timers[index] = nil }
    while fired.last != 48 { loop.turn(waits: true) }
    #expect(fired == Array(stride(from: 0, to: 50, by: 3)))
  }

  @Test func aTimerMayScheduleItselfAndKillOthers() throws {
    let loop = try EventLoop()
    var count = 0
    var victim: Timer? = Timer(loop) { Issue.record("the dead fire") }
    victim?.schedule(after: .milliseconds(2))
    var repeating: Timer?
    repeating = Timer(loop) {
      count += 1
      victim = nil
      if count < 3 { repeating?.schedule(after: .milliseconds(1)) }
    }
    repeating?.schedule(after: .milliseconds(1))
    while count < 3 { loop.turn(waits: true) }
    #expect(repeating?.isScheduled == false)
    #expect(victim == nil)
    repeating = nil
  }

  @Test func manyInAnyOrder() throws {
    let loop = try EventLoop()
    var generator = SystemRandomNumberGenerator()
    let start = loop.now
    var fired: [Int64] = []
    // Even, so that halves are in the same order: what is overdue rings in the order of its first
    // deadline.
    let delays = (0..<500).map { _ in 2 * Int64.random(in: 0..<1_000_000, using: &generator) }
    var timers: [Timer] = []
    for delay in delays {
      let timer = Timer(loop) { fired.append(delay) }
      timer.schedule(at: start + .nanoseconds(delay / 2))
      timer.schedule(at: start + .nanoseconds(delay))
      timers.append(timer)
    }
    while fired.count < timers.count { loop.turn(waits: true) }
    #expect(fired == delays.sorted())
  }
}
