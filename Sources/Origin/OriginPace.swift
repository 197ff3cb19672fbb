import Content
import Swarm
import Synchronization

/// The rate of all loops together. Whoever wants to send takes the next free moment: everybody has
/// one such reservation at a time, so the connections take turns.
final class OriginPace: Sendable {
  let byteRate: Int
  /// What is sent in one go: a hundredth of a second's worth, within bounds.
  let chunkByteCount: Int
  private let schedule: Mutex<SendSchedule>

  init(byteRate: Int) {
    self.byteRate = byteRate
    chunkByteCount = min(max(byteRate / 100, 16 << 10), 1 << 20)
    schedule = Mutex(SendSchedule(byteRate: byteRate))
  }

  /// How long to wait before `byteCount` bytes may be sent; they are taken as sent then.
  func reserve(byteCount: Int, now: Instant) -> Duration {
    schedule.withLock { $0.reserve(byteCount: byteCount, now: now) }
  }
}

/// What is under way to clients that are not of the swarm, as `OriginRoom` counts it. Kept only
/// when a limit is set.
final class PlainLoad: Sendable {
  private let active = Atomic<Int>(0)
  private let queued = Atomic<Int>(0)

  var activeCount: Int { active.load(ordering: .relaxed) }
  var queuedByteCount: Int { queued.load(ordering: .relaxed) }

  func start(byteCount: Int) {
    active.add(1, ordering: .relaxed)
    queued.add(OriginRoom.share(of: byteCount), ordering: .relaxed)
  }

  func end(byteCount: Int) {
    active.subtract(1, ordering: .relaxed)
    queued.subtract(OriginRoom.share(of: byteCount), ordering: .relaxed)
  }
}
