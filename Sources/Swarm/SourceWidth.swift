import Content

/// How many peers to fetch from at a time, found by trying: what more sources bring is measured, and
/// those that bring nothing are not kept. Too few leave the line idle when their uplinks are crowded;
/// too many only crowd the uplinks of others.
struct SourceWidth: Sendable {
  /// What one setting is judged by.
  static let window: Duration = .milliseconds(400)
  /// Windows between two trials.
  private static let restCount = 4
  /// More sources are kept when they bring this much more.
  private static let gainLeast = 1.08
  /// Fewer are kept unless they lose this much.
  private static let lossMost = 0.95

  private enum Trial { case none, wider, narrower }

  private(set) var count: Int
  private let bounds: ClosedRange<Int>
  /// A rate that is enough: beyond it no more sources are tried.
  private let targetByteRate: Int?
  private var trial = Trial.narrower
  private var restsLeft = 0
  private var rateBefore = 0.0
  private var windowStart: Instant?
  private var windowByteCount = 0

  /// Starts at the upper bound: pieces are spread thin when a swarm begins.
  init(_ bounds: ClosedRange<Int>, targetByteRate: Int? = nil) {
    self.bounds = bounds
    self.targetByteRate = targetByteRate
    count = bounds.upperBound
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
  }

  private mutating func judge(rate: Double) {
    switch trial {
    case .wider:
      if rate > rateBefore * Self.gainLeast { widen(from: rate) } else { settle(count - 2, rate) }
    case .narrower:
      if rate < rateBefore * Self.lossMost { settle(count + 1, rate) } else { narrow(from: rate) }
    case .none:
      restsLeft -= 1
      guard restsLeft <= 0 || rate < rateBefore * 0.8 else { return }
      widen(from: rate)
    }
  }

  private mutating func widen(from rate: Double) {
    if let targetByteRate, rate >= Double(targetByteRate) { return narrow(from: rate) }
    guard count < bounds.upperBound else { return narrow(from: rate) }
    (trial, rateBefore) = (.wider, rate)
    count = min(count + 2, bounds.upperBound)
  }

  private mutating func narrow(from rate: Double) {
    guard count > bounds.lowerBound else { return settle(count, rate) }
    (trial, rateBefore) = (.narrower, rate)
    count -= 1
  }

  private mutating func settle(_ wanted: Int, _ rate: Double) {
    count = min(max(wanted, bounds.lowerBound), bounds.upperBound)
    (trial, rateBefore, restsLeft) = (.none, rate, Self.restCount)
  }
}
