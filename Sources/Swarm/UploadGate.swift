package import Content

/// Lets a limited number of uploads run at a time, and measures them. Nobody may hold every slot,
/// and who was served many times in a row makes room when others were refused meanwhile: pipelined
/// requests would otherwise keep a slot for ever.
///
/// Slots divide an uplink that is full. A client whose own line is slow leaves most of its part
/// unused, and a few such clients would close a fast uplink that is nearly idle: so what they hold
/// counts for a part of a slot.
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
  private static let clientCountMax = 256

  /// What a slot is divided into: an upload to a slow client takes one part, any other all of them.
  private static let partCount = 4

  /// Whether a slow client's upload leaves some of its slot to others.
  private let dividesSlots: Bool
  private var clients: [PeerID: UploadClient] = [:]
  private var waiters: [(peer: PeerID, since: Instant)] = []
  private var active = 0
  /// Parts of slots that are taken.
  private var takenPartCount = 0
  private var refusals: UInt64 = 0
  private var meter = UploadMeter()
  private var uplink = UplinkMeter()
  private var bucket: TokenBucket?

  /// - Parameters:
  ///   - dividesSlots: false where there are never to be more uploads than slots.
  ///   - byteRate: limits all uploads together, bytes a second; nil for no limit.
  package init(
    slotCount: Int = slotCountDefault, dividesSlots: Bool = true, byteRate: Int? = nil
  ) {
    precondition(slotCount > 0 && byteRate.map { $0 > 0 } ?? true, "a gate lets something through")
    self.slotCount = slotCount
    self.dividesSlots = dividesSlots
    slotsPerPeerMax = max(1, slotCount / 2)
    bucket = byteRate.map { TokenBucket(byteRate: $0) }
  }

  /// Uploads there can be at a time.
  package var uploadCountMax: Int { dividesSlots ? slotCount * Self.partCount : slotCount }

  package var load: UploadLoad {
    let taken = (takenPartCount + Self.partCount - 1) / Self.partCount
    return UploadLoad(active: taken, limit: slotCount, byteRate: meter.byteRate)
  }

  /// Asks for a slot; a granted one is given back with `release`. `peer` is nil for a client that
  /// did not say who it is: all of those share one allowance.
  package mutating func admit(peer: PeerID?, now: Instant) -> Admission {
    let holder = peer ?? .origin
    waiters.removeAll { now - $0.since > Self.waitTime }
    var client = clients[holder] ?? UploadClient()
    let givesWay = client.streak >= Self.streakMax && waiters.contains { $0.peer != holder }
    guard takenPartCount + partCount(client) <= slotCount * Self.partCount,
      client.heldCount < slotsPerPeerMax, !givesWay
    else {
      clients[holder]?.streak = 0
      wait(holder, now: now)
      refusals &+= 1
      return .busy(retryAfter: retryDelay)
    }
    waiters.removeAll { $0.peer == holder }
    client.streak += 1
    client.heldCount += 1
    remember(client, holder)
    if active == 0 { meter.resume(now: now) }
    active += 1
    takenPartCount += partCount(client)
    return .granted
  }

  private func partCount(_ client: UploadClient) -> Int {
    dividesSlots && client.isSlow ? 1 : Self.partCount
  }

  private mutating func remember(_ client: UploadClient, _ holder: PeerID) {
    if clients[holder] == nil, clients.count >= Self.clientCountMax {
      clients = clients.filter { $0.value.heldCount > 0 }
    }
    clients[holder] = client
  }

  private mutating func wait(_ peer: PeerID, now: Instant) {
    guard !waiters.contains(where: { $0.peer == peer }) else { return }
    if waiters.count >= Self.waiterCountMax { waiters.removeFirst() }
    waiters.append((peer, now))
  }

  /// Gives a slot back after an upload of `byteCount` bytes.
  /// - Parameter isPassedOn: the bytes came no faster than this node received them, which says
  ///   nothing of the client.
  package mutating func release(
    peer: PeerID?, byteCount: Int, duration: Duration, isPassedOn: Bool = false, now: Instant
  ) {
    let holder = peer ?? .origin
    guard var client = clients[holder], client.heldCount > 0, active > 0 else {
      preconditionFailure("a slot is given back once")
    }
    uplink.add(byteCount: byteCount, duration: duration, now: now)
    takenPartCount -= client.heldCount * partCount(client)
    if !isPassedOn {
      client.took(byteCount: byteCount, in: duration)
      client.isSlow = client.byteRate < uplink.byteRate / Double(2 * max(active, slotCount))
    }
    client.heldCount -= 1
    takenPartCount += client.heldCount * partCount(client)
    clients[holder] = client
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
