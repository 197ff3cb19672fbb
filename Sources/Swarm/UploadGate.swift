package import Content

/// Lets a limited number of uploads run at a time, and measures them. Nobody may hold every slot,
/// and who was served many times in a row makes room when others were refused meanwhile: pipelined
/// requests would otherwise keep a slot for ever.
package struct UploadGate: Sendable {
  package enum Admission: Hashable, Sendable {
    case granted
    case busy(retryAfter: Duration)
  }

  /// Uploads at a time: what the simulator found best for equal links.
  package static let slotCountDefault = 5

  package let slotCount: Int
  /// Uploads one peer may have at a time.
  package let slotsPerPeerMax: Int
  /// Responses in a row before somebody refused has its turn.
  package static let streakMax = 8
  /// A refused peer is taken to be waiting for this long.
  private static let waitTime: Duration = .milliseconds(250)
  private static let waiterCountMax = 32
  private static let streakCountMax = 256

  private var held: [PeerID: Int] = [:]
  private var streaks: [PeerID: Int] = [:]
  private var waiters: [(peer: PeerID, since: Instant)] = []
  private var active = 0
  private var refusals: UInt64 = 0
  private var meter = UploadMeter()
  private var bucket: TokenBucket?

  /// `byteRate` limits all uploads together, bytes a second; nil for no limit.
  package init(slotCount: Int = slotCountDefault, byteRate: Int? = nil) {
    precondition(slotCount > 0 && byteRate.map { $0 > 0 } ?? true, "a gate lets something through")
    self.slotCount = slotCount
    slotsPerPeerMax = max(1, slotCount / 2)
    bucket = byteRate.map { TokenBucket(byteRate: $0) }
  }

  package var load: UploadLoad {
    UploadLoad(active: active, limit: slotCount, byteRate: meter.byteRate)
  }

  /// Asks for a slot; a granted one is given back with `release`. `peer` is nil for a client that
  /// did not say who it is: all of those share one allowance.
  package mutating func admit(peer: PeerID?, now: Instant) -> Admission {
    let holder = peer ?? .origin
    waiters.removeAll { now - $0.since > Self.waitTime }
    let streak = streaks[holder, default: 0]
    let givesWay = streak >= Self.streakMax && waiters.contains { $0.peer != holder }
    guard active < slotCount, held[holder, default: 0] < slotsPerPeerMax, !givesWay else {
      streaks[holder] = nil
      wait(holder, now: now)
      refusals &+= 1
      return .busy(retryAfter: retryDelay)
    }
    waiters.removeAll { $0.peer == holder }
    if streaks.count >= Self.streakCountMax { streaks.removeAll() }
    streaks[holder] = streak + 1
    if active == 0 { meter.resume(now: now) }
    active += 1
    held[holder, default: 0] += 1
    return .granted
  }

  private mutating func wait(_ peer: PeerID, now: Instant) {
    guard !waiters.contains(where: { $0.peer == peer }) else { return }
    if waiters.count >= Self.waiterCountMax { waiters.removeFirst() }
    waiters.append((peer, now))
  }

  /// Gives a slot back after an upload of `byteCount` bytes.
  package mutating func release(peer: PeerID?, byteCount: Int, duration: Duration, now: Instant) {
    let holder = peer ?? .origin
    guard let count = held[holder], active > 0 else {
      preconditionFailure("a slot is given back once")
    }
    held[holder] = count > 1 ? count - 1 : nil
    active -= 1
    meter.add(byteCount: byteCount, duration: duration, now: now)
    if active == 0 { meter.pause(now: now) }
  }

  /// Bytes that may be sent now under the rate limit; `Int.max` without one.
  package mutating func allowance(now: Instant) -> Int {
    bucket?.allowance(now: now) ?? .max
  }

  /// Takes what was sent from the allowance.
  package mutating func spend(byteCount: Int, now: Instant) {
    bucket?.spend(byteCount: byteCount, now: now)
  }

  /// How long until `byteCount` bytes may be sent; zero without a limit.
  package mutating func delay(byteCount: Int, now: Instant) -> Duration {
    bucket?.delay(byteCount: byteCount, now: now) ?? .zero
  }

  /// About the time until a slot is free, spread by a count so that the refused do not come back
  /// together.
  private var retryDelay: Duration {
    let slot = meter.meanDuration / slotCount
    let base = min(max(slot, .milliseconds(5)), .seconds(1))
    return base + base * Double(refusals % 8) / 4
  }
}
