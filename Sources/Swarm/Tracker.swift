package import Content

/// The origin's look-up table: who holds which piece, how busy, how near; which piece goes out next
/// and to whom. Soft state: a new tracker asks every peer for its whole bitmap and knows as much as
/// the old one. A value without clock or chance of its own.
package struct Tracker: Sendable {
  package let limits: TrackerLimits
  /// What the origin itself is sending now, told by its shell: shown in the referrals.
  package var originLoad = UploadLoad(active: 0, limit: 0, byteRate: 0)

  package init(limits: TrackerLimits = TrackerLimits()) {
    self.limits = limits
  }

  /// Makes the package known. Registering it again changes nothing.
  package mutating func register(_ id: PackageID, _ geometry: Geometry) {
    fatalError()
  }

  /// Forgets the package and what is known of its holders.
  package mutating func withdraw(_ id: PackageID) {
    fatalError()
  }

  package func knows(_ id: PackageID) -> Bool {
    fatalError()
  }

  /// Takes a peer's report and answers it. The peer is reachable at `address`, where its connection
  /// came from, and the port it claims. Packages that are not registered, or reported with another
  /// piece count, are left out of the answer.
  package mutating func announce(
    _ announce: Announce, from address: IPAddress, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Referral {
    fatalError()
  }

  /// The ranked sources for somebody who only asks (`/-/referral/ID`, or a redirected request):
  /// no leases. Nil when the package is not registered.
  package func sources(
    of id: PackageID, for address: IPAddress, site: String = "", except asker: PeerID? = nil,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> PackageReferral? {
    fatalError()
  }

  /// The origin's shell tells how a response for `run` ended: `isComplete` false when it broke off
  /// (the pieces wholly sent before that are not in `run`). Nil `peer` is a client that did not say
  /// who it is.
  package mutating func originSent(
    _ run: PieceRun, of id: PackageID, to peer: PeerID?, byteCount: Int, duration: Duration,
    isComplete: Bool, now: Instant
  ) {
    fatalError()
  }

  /// Drops the peers and leases whose time is over. Each announce does a little of it; the shell
  /// calls it about once a second so that a silent table empties too.
  package mutating func expire(now: Instant) {
    fatalError()
  }

  package func snapshot() -> TrackerSnapshot {
    fatalError()
  }
}
