import Content

/// How many peers to fetch from at a time: a few, and more only while nobody refuses us. A refusal says
/// that uplinks are full, and then more sources only take from others what those get elsewhere. Where
/// there is room, what two more bring is measured, and they are kept only when that is something.
struct SourceWidth: Sendable {
  /// What one setting is judged by.
  static let window: Duration = .milliseconds(200)
  /// Windows between two trials.
  private static let restCount = 4
  /// More sources are kept when they bring this much more.
  private static let gainLeast = 1.08

  private(set) var count: Int
  private let bounds: ClosedRange<Int>
  /// A rate that is enough: beyond it no more sources are tried.
  private let targetByteRate: Int?
  private var isTrial = false
  private var wasRefused = false
  private var restsLeft = SourceWidth.restCount
  private var rateBefore = 0.0
  private var windowStart: Instant?
  private var windowByteCount = 0

  /// Starts at the lower bound: everybody's first sources are crowded when a swarm begins.
  init(_ bounds: ClosedRange<Int>, targetByteRate: Int? = nil) {
    self.bounds = bounds
    self.targetByteRate = targetByteRate
    count = bounds.lowerBound
  }

  /// A peer was above its upload limit.
  mutating func refused() {
    wasRefused = true
    settle(bounds.lowerBound, rateBefore)
  }

  /// Bytes came from a peer.
  mutating func add(byteCount: Int, now: Instant) {
    guard let start = windowStart else {
      windowStart = now
      return
    }
    windowByteCount += byteCount
    let duration = now - start
    guard duration >= Self.window else { return }
    // A window that somebody slept through says nothing.
    if duration < Self.window * 3 { judge(rate: Double(windowByteCount) / duration.seconds) }
    windowStart = now
    windowByteCount = 0
    wasRefused = false
  }

  private mutating func judge(rate: Double) {
    if wasRefused { return settle(count, rate) }
    if isTrial {
      if rate > rateBefore * Self.gainLeast { widen(from: rate) } else { settle(count - 2, rate) }
    } else {
      restsLeft -= 1
      if restsLeft <= 0 || rate < rateBefore * 0.8 { widen(from: rate) }
    }
  }

  private mutating func widen(from rate: Double) {
    let isEnough = targetByteRate.map { rate >= Double($0) } ?? false
    guard !isEnough, count < bounds.upperBound else { return settle(count, rate) }
    (isTrial, rateBefore) = (true, rate)
    count = min(count + 2, bounds.upperBound)
  }

  private mutating func settle(_ wanted: Int, _ rate: Double) {
    count = min(max(wanted, bounds.lowerBound), bounds.upperBound)
    (isTrial, rateBefore, restsLeft) = (false, rate, Self.restCount)
  }
}
