import Content

/// How fast the origin sends altogether, over half-second windows. Nothing is learnt from a pause.
struct OriginMeter: Sendable {
  private static let window: Duration = .milliseconds(500)

  private(set) var byteRate = 0
  private var byteCount = 0
  private var start: Instant?
  private var last: Instant = .zero

  mutating func add(byteCount: Int, now: Instant) {
    defer { last = now }
    guard let start, now - last < Self.window else {
      self.start = now
      self.byteCount = 0
      return
    }
    self.byteCount += byteCount
    guard now - start >= Self.window else { return }
    if let rate = Swarm.byteRate(byteCount: self.byteCount, duration: now - start) {
      byteRate = smoothed(byteRate, rate)
    }
    self.byteCount = 0
    self.start = now
  }
}
