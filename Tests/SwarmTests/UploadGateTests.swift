import Content
import Swarm
import Testing

@Suite struct UploadGateTests {
  private let now = Instant(nanoseconds: 1_000_000_000)

  private func peer(_ number: Int) -> PeerID { PeerID(high: 1, low: UInt64(number)) }

  @Test func slotsAreLimitedAndGivenBack() {
    var gate = UploadGate(slotCount: 2)
    #expect(gate.admit(peer: peer(1), now: now) == .granted)
    #expect(gate.admit(peer: peer(2), now: now) == .granted)
    guard case .busy(let retryAfter) = gate.admit(peer: peer(3), now: now) else {
      Issue.record("a full gate refuses")
      return
    }
    #expect(retryAfter > .zero)
    gate.release(peer: peer(1), byteCount: 10, duration: .milliseconds(1), now: now)
    #expect(gate.admit(peer: peer(3), now: now) == .granted)
    #expect(gate.load.active == 2)
  }

  @Test func nobodyHoldsEverySlot() {
    var gate = UploadGate(slotCount: 4)
    #expect(gate.admit(peer: peer(1), now: now) == .granted)
    #expect(gate.admit(peer: peer(1), now: now) == .granted)
    #expect(gate.admit(peer: peer(1), now: now) != .granted)
    #expect(gate.admit(peer: peer(2), now: now) == .granted)
  }

  @Test func aLongStreakGivesWayToTheRefused() {
    var gate = UploadGate(slotCount: 1)
    #expect(gate.admit(peer: peer(1), now: now) == .granted)
    #expect(gate.admit(peer: peer(2), now: now) != .granted)
    for _ in 1..<UploadGate.streakMax {
      gate.release(peer: peer(1), byteCount: 1, duration: .zero, now: now)
      #expect(gate.admit(peer: peer(1), now: now) == .granted)
    }
    gate.release(peer: peer(1), byteCount: 1, duration: .zero, now: now)
    #expect(gate.admit(peer: peer(1), now: now) != .granted)
    #expect(gate.admit(peer: peer(2), now: now) == .granted)
  }

  /// Uploads one after the other, as many at a time as there are slots: whoever is served takes
  /// 256 KiB at its rate. Returns the moment after.
  private func serve(
    _ gate: inout UploadGate, from start: Instant, rates: [Int], rounds: Int
  ) -> Instant {
    let byteCount = 256 << 10
    var clock = start
    for _ in 0..<rounds {
      for number in rates.indices {
        #expect(gate.admit(peer: peer(number), now: clock) == .granted)
      }
      let began = clock
      for (number, rate) in rates.enumerated().sorted(by: { $0.element > $1.element }) {
        let duration = Duration.nanoseconds(byteCount * 1_000_000_000 / rate)
        clock = max(clock, began + duration)
        gate.release(peer: peer(number), byteCount: byteCount, duration: duration, now: clock)
      }
    }
    return clock
  }

  private func grantedCount(_ gate: inout UploadGate, to numbers: Range<Int>, now: Instant) -> Int {
    numbers.count { gate.admit(peer: peer($0), now: now) == .granted }
  }

  /// An uplink of 40 MB a second, and four clients with slow lines.
  private func mixed(dividesSlots: Bool = true) -> (gate: UploadGate, now: Instant) {
    var gate = UploadGate(slotCount: 5, dividesSlots: dividesSlots)
    let fast = Array(repeating: 8_000_000, count: 5)
    let clock = serve(&gate, from: now, rates: fast, rounds: 20)
    let slow = Array(repeating: 500_000, count: 4)
    let end = serve(&gate, from: clock, rates: slow, rounds: 20)
    return (gate, end)
  }

  /// They leave a fast uplink nearly idle: they count for one slot.
  @Test func slowClientsShareASlot() {
    var (gate, clock) = mixed()
    #expect(grantedCount(&gate, to: 0..<4, now: clock) == 4)
    #expect(gate.load.active == 1)
    #expect(grantedCount(&gate, to: 10..<30, now: clock) == 4)
    #expect(gate.load.active == 5)
    for number in 0..<4 {
      gate.release(peer: peer(number), byteCount: 1, duration: .milliseconds(1), now: clock)
    }
    #expect(gate.load.active == 4)
  }

  @Test func nobodySharesASlotWhereThereIsALimit() {
    var (gate, clock) = mixed(dividesSlots: false)
    #expect(grantedCount(&gate, to: 0..<30, now: clock) == 5)
    #expect(gate.uploadCountMax == 5)
  }

  /// What a full uplink gives each is its part, though some get twice as much as others.
  @Test func aFullUplinkIsNotDividedFurther() {
    var gate = UploadGate(slotCount: 5)
    let rates = [1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000]
    let clock = serve(&gate, from: now, rates: rates, rounds: 20)
    #expect(grantedCount(&gate, to: 0..<30, now: clock) == 5)
  }

  /// However many it serves: to be one of many is not to be slow.
  @Test func manyClientsDoNotMakeEachOtherSlow() {
    var (gate, clock) = mixed()
    var counts: [Int] = []
    for _ in 0..<30 {
      let granted = (0..<30).filter { gate.admit(peer: peer($0), now: clock) == .granted }
      counts.append(granted.count)
      // All together have 40 MB a second, and each the same of it.
      let duration = Duration.nanoseconds((256 << 10) * granted.count * 25)
      clock = clock + duration
      for number in granted {
        gate.release(
          peer: peer(number), byteCount: 256 << 10, duration: duration, now: clock)
      }
    }
    #expect(counts[0] > 5)
    #expect(counts.last == 5, "\(counts)")
  }

  /// What is passed on while it is received comes as fast as that.
  @Test func whatIsPassedOnMakesNobodySlow() {
    var gate = UploadGate(slotCount: 1)
    var clock = serve(&gate, from: now, rates: [40_000_000], rounds: 20)
    #expect(gate.admit(peer: peer(1), now: clock) == .granted)
    clock = clock + .seconds(2)
    gate.release(
      peer: peer(1), byteCount: 1 << 20, duration: .seconds(2), isPassedOn: true, now: clock)
    #expect(grantedCount(&gate, to: 1..<4, now: clock) == 1)
  }

  @Test func theRateIsThatOfTheBusyTime() {
    var gate = UploadGate(slotCount: 2)
    _ = gate.admit(peer: peer(1), now: now)
    gate.release(
      peer: peer(1), byteCount: 500_000, duration: .milliseconds(500),
      now: now + .milliseconds(500))
    _ = gate.admit(peer: peer(1), now: now + .seconds(100))
    #expect(gate.load.byteRate == 1_000_000)
  }

  @Test func theRateLimitIsATokenBucket() {
    var gate = UploadGate(slotCount: 2, byteRate: 1_000_000)
    let burst = gate.allowance(now: now)
    #expect(burst == 100_000)
    gate.spend(byteCount: burst, now: now)
    #expect(gate.allowance(now: now) == 0)
    let wait = gate.delay(byteCount: 50_000, now: now)
    #expect(wait > .milliseconds(49) && wait < .milliseconds(51))
    #expect(gate.allowance(now: now + wait) >= 50_000)
    #expect(gate.allowance(now: now + .seconds(60)) == burst)
    var free = UploadGate()
    #expect(free.delay(byteCount: 1 << 40, now: now) == .zero)
  }
}
