/// A peer's report to the tracker: who it is, how busy, and for each package what it gained and
/// lost, what it wants, who served it and who did it harm.
package struct Announce: Hashable, Sendable {
  package static let siteByteCountMax = 64
  package static let reportCountMax = 64

  package var peer: PeerID
  /// Where it serves, at the address the announce comes from; 0 when it serves nobody.
  package var port: UInt16
  /// The operator's label for machines that are near each other; empty when there is none.
  package var site: String
  /// The last word of a peer that is going away.
  package var isLeaving: Bool
  /// It serves by TLS only, with a certificate whose fingerprint is its id.
  package var speaksTLS: Bool
  package var uploads: UploadLoad
  package var reports: [PackageReport]

  package init(
    peer: PeerID, port: UInt16, site: String, isLeaving: Bool, speaksTLS: Bool = false,
    uploads: UploadLoad, reports: [PackageReport]
  ) {
    self.peer = peer
    self.port = port
    self.site = site
    self.isLeaving = isLeaving
    self.speaksTLS = speaksTLS
    self.uploads = uploads
    self.reports = reports
  }
}

/// How many uploads a peer is running, how many it allows, and how fast they have gone.
package struct UploadLoad: Hashable, Sendable {
  package var active: Int
  package var limit: Int
  /// Measured over recent uploads, bytes a second; 0 when nothing was measured yet.
  package var byteRate: Int

  package init(active: Int, limit: Int, byteRate: Int) {
    self.active = active
    self.limit = limit
    self.byteRate = byteRate
  }
}

/// What an announce says of one package.
package struct PackageReport: Hashable, Sendable {
  package static let deliveryCountMax = 64
  package static let complaintCountMax = 64

  package var package: PackageID
  package var pieceCount: Int
  package var holdings: Holdings
  /// Pieces it would like to be sent by the origin now; 0 when it only reports.
  package var wantedPieceCount: Int
  /// Nobody it knows has, or has promised, anything it needs.
  package var isStarving: Bool
  package var deliveries: [Delivery]
  package var complaints: [Complaint]

  package init(
    package id: PackageID, pieceCount: Int, holdings: Holdings, wantedPieceCount: Int = 0,
    isStarving: Bool = false, deliveries: [Delivery] = [], complaints: [Complaint] = []
  ) {
    self.package = id
    self.pieceCount = pieceCount
    self.holdings = holdings
    self.wantedPieceCount = wantedPieceCount
    self.isStarving = isStarving
    self.deliveries = deliveries
    self.complaints = complaints
  }
}

/// The pieces a peer has: all of them, or what changed since it last told.
package enum Holdings: Hashable, Sendable {
  case whole(PieceSet)
  case changes(gained: [PieceRun], evicted: [PieceRun])
}

/// Bytes one source sent, and how long its responses took together.
package struct Delivery: Hashable, Sendable {
  package var source: PeerID
  package var byteCount: Int
  package var duration: Duration

  package init(source: PeerID, byteCount: Int, duration: Duration) {
    self.source = source
    self.byteCount = byteCount
    self.duration = duration
  }
}

/// A source that did harm, and how.
package struct Complaint: Hashable, Sendable {
  package enum Kind: UInt8, Hashable, Sendable {
    /// A whole piece came from this source alone and did not match the tree.
    case corrupt = 1
    /// The connection was refused or broke.
    case dead = 2
    /// It stopped sending in the middle of a response.
    case stalled = 3
  }

  package var source: PeerID
  package var kind: Kind
  package var piece: PieceIndex

  package init(source: PeerID, kind: Kind, piece: PieceIndex) {
    self.source = source
    self.kind = kind
    self.piece = piece
  }
}
