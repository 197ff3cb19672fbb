package import Content

/// Names one fetch of one `Download`; never used twice by it.
package struct RequestID: Hashable, Sendable, Comparable {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// How a fetch ended.
package enum FetchOutcome: Hashable, Sendable {
  /// Every byte of the run arrived.
  case complete
  /// The source is at its upload limit.
  case busy(retryAfter: Duration)
  /// The connection could not be made, broke, or the answer made no sense.
  case failed
  /// The shell itself gave up on a silent source.
  case stalled
  /// The source does not hold what it was thought to hold.
  case notHeld
  /// The source was still receiving the piece, and no longer is.
  case brokenOff
}

extension Download {
  /// What happened. Events about requests or peers that are no longer known are ignored, so the
  /// shell need not filter what was under way when it was told to cancel.
  package enum Event: Sendable {
    case started
    /// The tracker answered; `interval` is when it wants to hear again at the latest.
    case referred(PackageReferral, interval: Duration)
    /// The announce was not answered, or was refused.
    case trackerFailed
    /// A have-stream opened (or a peer told its whole bitmap again).
    case heldBy(PeerID, PieceSet)
    case gained(PeerID, [PieceRun])
    case lost(PeerID, [PieceRun])
    case promised(PeerID, [PieceRun])
    /// The have-stream is over; `refused` when the peer is alive and only would not have us.
    case haveStreamEnded(PeerID, refused: Bool)
    /// Bytes of a response body came in.
    case progressed(RequestID, byteCount: Int)
    /// All bytes of a piece are in; whether they are right is not known yet.
    case arrived(PieceIndex, RequestID)
    /// The piece matched the tree and is in the cache.
    case verified(PieceIndex, RequestID)
    /// It did not match; `culprit` when all of it came from that one source.
    case rejected(PieceIndex, RequestID, culprit: PeerID?)
    case finished(RequestID, FetchOutcome)
    /// Somebody reads: these first, in this order. Replaces the former list.
    case wanted([PieceRun])
    /// From now on the whole package is wanted, not only what readers wait for.
    case widened
    case evicted(PieceRun)
    /// This machine has not read what its sources sent, because its own disk or workers lag: their
    /// silence is not theirs.
    case stoodStill
    /// The time asked for with `.tick` has come.
    case ticked
  }

  /// What the shell is to do, in this order.
  package enum Effect: Hashable, Sendable {
    case fetch(RequestID, from: PeerID, PieceRun)
    /// The same for a piece that the source is still receiving.
    case fetchArriving(RequestID, from: PeerID, PieceIndex)
    /// Nothing more is expected of this request.
    case cancel(RequestID)
    /// Send this report to the tracker; exactly one of `.referred` and `.trackerFailed` answers it,
    /// and until then there is no second one.
    case announce(PackageReport)
    /// Open a have-stream to this peer.
    case follow(Source)
    case unfollow(PeerID)
    /// Tell the followers of our have-stream that we will soon have these.
    case promise([PieceRun])
    /// Send `.ticked` in this time; replaces an earlier wish.
    case tick(after: Duration)
    /// Every piece is verified. The download lives on as a seed that reports to the tracker.
    case completed
    case gaveUp(GiveUpReason)
  }

  package enum GiveUpReason: Hashable, Sendable {
    /// Neither the origin nor any neighbour has moved a byte for `DownloadLimits.patience`.
    case nobodyHasIt
  }
}
