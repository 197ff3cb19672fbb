/// The tracker's answer to an announce: when to report again and, for each package, what the
/// origin will send now and where to get the rest.
package struct Referral: Hashable, Sendable {
  package var interval: Duration
  package var packages: [PackageReferral]

  package init(interval: Duration, packages: [PackageReferral]) {
    self.interval = interval
    self.packages = packages
  }
}

package struct PackageReferral: Hashable, Sendable {
  package static let sourceCountMax = 64
  package static let leaseCountMax = 64
  package static let promiseCountMax = 256
  package static let suspendedCountMax = 32

  package var package: PackageID
  package var pieceCount: Int
  /// The tracker does not know this peer's pieces (it is new, or was restarted): tell them all.
  package var wantsWhole: Bool
  /// Runs the origin hands to this peer now: it fetches them from the origin and nobody else does.
  package var leases: [Lease]
  /// Sources of other sites are only asked for what `crossings` names: one copy crosses into each
  /// site, and its machines share that.
  package var staysNear: Bool
  /// Runs this peer brings into its site: it fetches them from any source of another site.
  package var crossings: [Lease]
  /// Best first; the origin is one of them.
  package var sources: [Source]
  /// Pieces this peer lacks that others are about to have, and holders of what `crossings` names.
  package var promises: [Promise]
  /// Holders that were found to send wrong bytes: nothing is to be taken from them.
  package var suspended: [PeerID]

  package init(
    package id: PackageID, pieceCount: Int, wantsWhole: Bool = false, leases: [Lease] = [],
    staysNear: Bool = false, crossings: [Lease] = [], sources: [Source] = [],
    promises: [Promise] = [], suspended: [PeerID] = []
  ) {
    self.package = id
    self.pieceCount = pieceCount
    self.wantsWhole = wantsWhole
    self.leases = leases
    self.staysNear = staysNear
    self.crossings = crossings
    self.sources = sources
    self.promises = promises
    self.suspended = suspended
  }
}

/// A run the origin hands to one peer, and how long the peer has for it before it goes to another.
package struct Lease: Hashable, Sendable {
  package var run: PieceRun
  package var term: Duration

  package init(run: PieceRun, term: Duration) {
    self.run = run
    self.term = term
  }
}

/// One place a package can be had from.
package struct Source: Hashable, Sendable {
  /// `.origin` for the origin, whose endpoint every client knows by its own name for it.
  package var peer: PeerID
  package var endpoint: Endpoint
  package var heldPieceCount: Int
  package var uploads: UploadLoad
  /// It is in the asker's own site.
  package var isNear: Bool
  /// It serves by TLS only, with a certificate whose fingerprint is its id.
  package var speaksTLS: Bool

  package init(
    peer: PeerID, endpoint: Endpoint, heldPieceCount: Int, uploads: UploadLoad, isNear: Bool,
    speaksTLS: Bool = false
  ) {
    self.peer = peer
    self.endpoint = endpoint
    self.heldPieceCount = heldPieceCount
    self.uploads = uploads
    self.isNear = isNear
    self.speaksTLS = speaksTLS
  }
}

/// "I do not have it yet, I will soon": who, which pieces, and in how long. Zero: it has them now, and
/// the tracker names it for a crossing.
package struct Promise: Hashable, Sendable {
  package var holder: PeerID
  package var run: PieceRun
  package var expected: Duration

  package init(holder: PeerID, run: PieceRun, expected: Duration) {
    self.holder = holder
    self.run = run
    self.expected = expected
  }
}
