import Content

/// A source as one download sees it: how it has done, when it may be asked. What it holds is beside
/// it (`Download.bitmaps`): without references, a look at a neighbour costs nothing but the look.
struct Neighbour: Sendable {
  enum Stream: Hashable, Sendable {
    /// Not followed; nothing is known of what it holds.
    case none
    case opening
    case open
  }

  // What every choice looks at comes first, and close together.
  var stream = Stream.none
  /// It is not followed: what it holds of our crossings is the tracker's word.
  var isVouchedFor = false
  /// It sent a corrupt piece: never asked again.
  var isBanned = false
  /// Requests outstanding.
  var outstandingCount = 0
  /// It refused; not to be asked before.
  var busyUntil: Instant = .zero
  /// It stalled, broke or would not have us; not to be asked or followed before.
  var penaltyUntil: Instant = .zero
  /// When bytes last came, or the first of its outstanding requests was sent.
  var lastProgress: Instant = .zero
  /// Bytes a second; 0 when unknown.
  var byteRate = 0
  var source: Source
  var lastFinish: Instant = .zero
  var refusalCount = 0
  var history = ServiceHistory()
  var byteCount = 0
  var failureCount = 0
  var rejectedPieceCount = 0
  /// Since the tracker was last told.
  var untoldByteCount = 0
  var untoldDuration: Duration = .zero

  init(source: Source) { self.source = source }

  var id: PeerID { source.peer }

  /// It may be asked for what it holds, at the latest when it is no longer busy.
  func isUsable(now: Instant) -> Bool {
    (stream == .open || isVouchedFor) && !isBanned && penaltyUntil <= now
  }

  mutating func measure(byteCount: Int, start: Instant, now: Instant) {
    let duration = now - max(start, lastFinish)
    lastFinish = now
    untoldByteCount += byteCount
    untoldDuration += duration
    history.served(byteCount: byteCount, in: duration)
    if let rate = Swarm.byteRate(byteCount: byteCount, duration: duration) {
      byteRate = smoothed(byteRate, rate)
    }
  }
}

/// One fetch under way.
struct Request: Sendable {
  let id: RequestID
  let source: PeerID
  let run: PieceRun
  /// For the one piece that its source is still receiving.
  let isArriving: Bool
  let start: Instant
  /// Pieces of the run whose bytes are not all in, in the order they come.
  var next: Int
  var byteCount = 0
  /// When the first of its bytes came.
  var firstByte: Instant?
  /// What it asks for was asked of somebody else before.
  var isHedge = false
  /// It is such a one, and has brought a piece first.
  var hasWon = false
  /// All it asks for came on other ways: it shows whether its source is there.
  var isProbe = false

  var rest: Range<Int> { next..<run.end }

  func awaits(_ piece: PieceIndex) -> Bool { rest.contains(piece.rawValue) }
}
