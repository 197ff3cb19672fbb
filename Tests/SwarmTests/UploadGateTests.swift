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
