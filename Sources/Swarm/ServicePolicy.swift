import Content

/// Serve or refer: whether the origin sends something itself. Pure; `Docs/SWARM.md` has the rules.
package enum ServicePolicy {
  /// In which time a client is to have what it asks for. A fast line should not wait longer than
  /// `base`; for a slow one a wait of the time it needs anyway goes unnoticed.
  package static func period(
    byteCount: Int, lineByteRate: Int, base: Duration
  ) -> Duration {
    guard lineByteRate > 0 else { return base }
    let needed = Double(max(0, byteCount)) / Double(lineByteRate)
    return max(base, .nanoseconds(Int64(min(needed * 2, periodSecondsMax) * 1e9)))
  }

  private static let periodSecondsMax = 8.0

  /// The origin sends a piece that others hold once more when they would let this client wait for
  /// longer than `period`, and the origin is at least twice as fast. An origin whose speed to the
  /// client is not known yet is tried; a client that cannot tell yet what its peers do is not slow.
  package static func helps(
    missingByteCount: Int, peerByteRate: Int, originByteRate: Int, period: Duration
  ) -> Bool {
    guard missingByteCount > 0, peerByteRate > 0 else { return false }
    guard Double(missingByteCount) / Double(peerByteRate) > period.seconds else { return false }
    return originByteRate <= 0 || peerByteRate < originByteRate / 2
  }

  /// Bytes of a package that may go to the swarm again while all of it is out: what `copies` allow
  /// beyond what was sent, what is promised, and what nobody has yet.
  package static func repeatableByteCount(
    copies: Double, byteCount: Int, sentByteCount: Int, promisedByteCount: Int,
    freshByteCount: Int
  ) -> Int {
    let allowed = Int(min(max(0, copies) * Double(byteCount), 1e18))
    return max(0, allowed - sentByteCount - promisedByteCount - freshByteCount)
  }
}

/// Whether an origin has room for one more client that is not of the swarm.
///
/// The measure is time: what is queued for the responses under way, and the beginning of the new
/// one, at the rate the origin sends with. A response counts with its first megabyte at most: a
/// long one shares the line with the others, it does not hold them up.
package struct OriginRoom: Hashable, Sendable {
  package enum Answer: Hashable, Sendable {
    case serve
    /// There will be room in about this time.
    case full(retryAfter: Duration)
  }

  /// What a response counts with.
  package static let shareByteCount = 1 << 20
  /// In which time a client that did not say how fast it is should have its share.
  package static let period: Duration = .seconds(2)

  /// Bytes a second; nil when no limit is set, and then there is always room by this measure.
  package var byteRate: Int?
  /// Of the responses under way, each with `shareByteCount` at most.
  package var queuedByteCount: Int
  package var activeCount: Int
  /// The most responses at a time; nil for no limit.
  package var activeCountMax: Int?
  /// The loop comes to its events so late that more work would only make everybody wait.
  package var isLagging: Bool

  package init(
    byteRate: Int?, queuedByteCount: Int, activeCount: Int, activeCountMax: Int? = nil,
    isLagging: Bool = false
  ) {
    self.byteRate = byteRate
    self.queuedByteCount = queuedByteCount
    self.activeCount = activeCount
    self.activeCountMax = activeCountMax
    self.isLagging = isLagging
  }

  package static func share(of byteCount: Int) -> Int { min(max(0, byteCount), shareByteCount) }

  /// For one more response of `byteCount` bytes.
  package func answer(byteCount: Int) -> Answer {
    if isLagging { return .full(retryAfter: .seconds(1)) }
    if let activeCountMax, activeCount >= activeCountMax { return .full(retryAfter: .seconds(1)) }
    guard let byteRate, byteRate > 0, activeCount > 0 else { return .serve }
    let queued = Double(max(0, queuedByteCount) + Self.share(of: byteCount))
    let wait = Duration.nanoseconds(Int64(min(queued / Double(byteRate), 3_600) * 1e9))
    return wait <= Self.period ? .serve : .full(retryAfter: wait - Self.period)
  }
}
