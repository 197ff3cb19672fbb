import Content

/// What recent uploads moved while any was running.
struct UploadMeter: Sendable {
  /// Older bytes fade: half of their weight in about this much busy time.
  private static let memory = 2.0

  private var bytes = 0.0
  private var busySeconds = 0.0
  private var busySince: Instant?
  private(set) var meanDuration: Duration = .zero

  /// Bytes a second; 0 when nothing was measured yet.
  var byteRate: Int {
    busySeconds > 0.001 ? Int(min(bytes / busySeconds, 1e15)) : 0
  }

  mutating func resume(now: Instant) { busySince = now }

  mutating func pause(now: Instant) {
    account(now: now)
    busySince = nil
  }

  mutating func add(byteCount: Int, duration: Duration, now: Instant) {
    bytes += Double(byteCount)
    meanDuration = meanDuration == .zero ? duration : meanDuration * 0.75 + duration * 0.25
    account(now: now)
  }

  private mutating func account(now: Instant) {
    guard let since = busySince else { return }
    busySeconds += max(0, (now - since).seconds)
    busySince = now
    if busySeconds > Self.memory {
      bytes *= Self.memory / busySeconds
      busySeconds = Self.memory
    }
  }
}

/// One who is sent something: what it holds, and how fast it takes what it gets.
struct UploadClient: Sendable {
  /// More than this is not remembered whole: what counts is the last of it.
  private static let rememberedByteCount = 1 << 20

  /// Uploads under way.
  var heldCount = 0
  /// Granted in a row.
  var streak = 0
  /// It takes far less than an equal part of the uplink.
  var isSlow = false
  private var byteCount = 0.0
  private var seconds = 0.0

  /// Of its own uploads, bytes a second; endless when they took no time.
  var byteRate: Double { seconds > 0 ? byteCount / seconds : .infinity }

  mutating func took(byteCount: Int, in duration: Duration) {
    self.byteCount += Double(byteCount)
    seconds += max(0, duration.seconds)
    guard self.byteCount > Double(Self.rememberedByteCount) else { return }
    self.byteCount /= 2
    seconds /= 2
  }
}

/// What the uplink has shown to carry: the best of stretches in which much was sent. That of a while
/// ago fades, as lines change.
struct UplinkMeter: Sendable {
  private static let durationMin: Duration = .milliseconds(100)
  /// What kernels take at once of responses that begin should be a small part of a stretch.
  private static let byteCountMin = 1 << 20
  /// In this time it halves, when nothing renews it.
  private static let memory = 16.0

  /// Bytes a second; 0 when nothing is known.
  private(set) var byteRate = 0.0
  private var start: Instant?
  private var byteCount = 0.0

  /// An upload is over that took `duration`. Of one that began before the stretch, what was sent in
  /// it counts.
  mutating func add(byteCount: Int, duration: Duration, now: Instant) {
    guard let start else {
      self.start = now
      return
    }
    let elapsed = (now - start).seconds
    let share = duration.seconds > elapsed ? elapsed / duration.seconds : 1
    self.byteCount += Double(byteCount) * share
    guard now - start >= Self.durationMin, self.byteCount >= Double(Self.byteCountMin) else {
      return
    }
    let faded = byteRate * Self.memory / (Self.memory + elapsed)
    byteRate = max(faded, self.byteCount / elapsed)
    (self.start, self.byteCount) = (now, 0)
  }
}

/// A byte rate with a burst of a tenth of a second, and at least one piece.
struct TokenBucket: Sendable {
  private let byteRate: Int
  private var tokens: Double
  private var filled: Instant?

  init(byteRate: Int) {
    self.byteRate = byteRate
    tokens = Self.burst(byteRate)
  }

  mutating func allowance(now: Instant) -> Int {
    fill(now: now)
    return Int(max(0, tokens))
  }

  mutating func spend(byteCount: Int, now: Instant) {
    fill(now: now)
    tokens -= Double(byteCount)
  }

  mutating func delay(byteCount: Int, now: Instant) -> Duration {
    fill(now: now)
    let missing = min(Double(byteCount), Self.burst(byteRate)) - tokens
    return missing <= 0 ? .zero : .nanoseconds(Int64(missing / Double(byteRate) * 1e9) + 1)
  }

  private mutating func fill(now: Instant) {
    if let filled {
      let gain = max(0, (now - filled).seconds) * Double(byteRate)
      tokens = min(Self.burst(byteRate), tokens + gain)
    }
    filled = now
  }

  private static func burst(_ byteRate: Int) -> Double {
    max(Double(byteRate) / 10, Double(Geometry.pieceByteCountMin))
  }
}
