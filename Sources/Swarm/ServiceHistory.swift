import Content

/// How long one source took so far to serve what it was asked for: the wait for the first byte of a
/// response, and the time a byte takes. Mean and deviation fade as TCP's do for its round trips
/// (RFC 6298, section 2), so what is said of a source is what it did lately.
struct ServiceHistory: Hashable, Sendable {
  /// Nanoseconds to the first byte.
  private(set) var wait = Estimate()
  /// Nanoseconds a byte, the wait included.
  private(set) var pace = Estimate()

  /// Nanoseconds: the shortest wait of late, which is the way to the source and back, and nothing
  /// that was before us in its queue. It rises slowly, so that a longer way is noticed (the idea of
  /// BBR's round-trip filter).
  private(set) var roundTrip = 0.0

  /// Nothing was served yet.
  var isEmpty: Bool { pace.isEmpty }

  mutating func waited(_ duration: Duration) {
    let sample = Double(duration.nanoseconds)
    roundTrip =
      wait.isEmpty || sample <= roundTrip ? sample : roundTrip + (sample - roundTrip) / 32
    wait.add(sample)
  }

  mutating func served(byteCount: Int, in duration: Duration) {
    guard byteCount > 0, duration > .zero else { return }
    pace.add(Double(duration.nanoseconds) / Double(byteCount))
  }

  /// Hardly ever did it take longer to begin.
  var longestWait: Duration { .nanoseconds(Int64(min(wait.high, 1e15))) }

  /// Nor to send so many bytes; zero while nothing was served.
  func longestService(byteCount: Int) -> Duration {
    .nanoseconds(Int64(min(pace.high * Double(byteCount), 1e15)))
  }

  struct Estimate: Hashable, Sendable {
    private(set) var mean = 0.0
    private(set) var deviation = 0.0
    private(set) var isEmpty = true

    mutating func add(_ sample: Double) {
      guard !isEmpty else {
        (mean, deviation, isEmpty) = (sample, sample / 2, false)
        return
      }
      deviation += (abs(sample - mean) - deviation) / 4
      mean += (sample - mean) / 8
    }

    /// Three deviations above the mean.
    var high: Double { mean + 3 * deviation }
  }
}
