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
