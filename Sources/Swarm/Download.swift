package import Content

/// Decides for one package what to fetch next and from whom. The shell feeds it events and performs
/// the effects; it has no clock, no randomness of its own, and does nothing by itself.
package struct Download: Sendable {
  package let package: PackageID
  package let geometry: Geometry
  package let limits: DownloadLimits
  /// Verified and in the cache.
  package private(set) var held: PieceSet

  /// `held` are the pieces the cache has already.
  package init(
    package id: PackageID, geometry: Geometry, held: PieceSet,
    limits: DownloadLimits = DownloadLimits()
  ) {
    precondition(held.pieceCount == geometry.pieceCount, "the set belongs to the package")
    package = id
    self.geometry = geometry
    self.limits = limits
    self.held = held
  }

  /// Takes one event and appends what is to be done to `effects`.
  package mutating func step(
    _ event: Event, now: Instant, rng: inout some RandomNumberGenerator, effects: inout [Effect]
  ) {
    fatalError()
  }

  package var isComplete: Bool { held.isFull }
  /// Pieces that are being fetched or verified.
  package var inFlight: PieceSet { fatalError() }
  /// What the origin has leased to us and we do not hold yet: what we may promise to others.
  package var promises: [PieceRun] { fatalError() }
  /// Everyone we ever got something from, the origin included, ascending by id.
  package var statistics: [SourceStatistics] { fatalError() }
  /// Peers whose have-stream is open or being opened, ascending.
  package var followed: [PeerID] { fatalError() }
  /// Time left at the speed of the last seconds; nil when nothing moves.
  package func timeLeft(now: Instant) -> Duration? { fatalError() }
}

/// What one source has done for this download.
package struct SourceStatistics: Hashable, Sendable {
  package var source: PeerID
  package var byteCount: Int
  /// Pieces from it alone that did not match the tree.
  package var rejectedPieceCount: Int
  package var failureCount: Int
  /// Bytes a second over its recent responses; 0 when nothing was measured yet.
  package var byteRate: Int
}
