package import Content
import DequeModule

/// Decides for one package what to fetch next and from whom. The shell feeds it events and performs
/// the effects; it has no clock, no randomness of its own, and does nothing by itself.
///
/// Invariant: a piece is in at most one of `held`, `busy` (asked for, or being verified), `leased`
/// (the origin is to be asked for it) and `needed`; and in exactly one of them unless the download
/// is on demand and no reader wants the piece.
package struct Download: Sendable {
  package let package: PackageID
  package let geometry: Geometry
  package let limits: DownloadLimits
  /// Verified and in the cache.
  package internal(set) var held: PieceSet
  /// Only what readers want is fetched: the package is as good as it needs to be, or larger than the
  /// cache. Every download is so once it has completed.
  package private(set) var isOnDemand: Bool

  var needed: PieceSet
  var busy: PieceSet
  var leased: [LeaseRecord] = []
  var requests: [Request] = []
  var requestCount: UInt64 = 0
  /// In the order they were heard of, the origin first.
  var neighbours: [Neighbour]
  /// Theirs, at the same places: news come from one of them, and most steps are news.
  var neighbourIDs: [PeerID]
  /// What they hold, at the same places.
  var bitmaps: [PieceSet]
  /// Kept from choice to choice for its room only.
  var askable = Askable()
  /// No source can have been silent for too long before this.
  var stallNotBefore: Instant = .zero
  /// For each piece, the open have-streams that have it.
  var availability: [UInt16]
  /// The oldest first.
  var promised = Deque<Promised>()
  /// No promise is over before this.
  var promiseNotOverBefore = Instant(nanoseconds: .max)
  var site: SiteRule
  var wantedRuns: [PieceRun] = []
  /// What was asked of two since it was last needed.
  var hedged: PieceSet
  package internal(set) var hedges = HedgeTally()
  var wantedSince: Instant = .zero
  var wantedPiece: PieceIndex?
  var talk = TrackerTalk()
  var lastArrival: Instant = .zero
  var speed = SpeedMeter()
  /// How many peers are fetched from at a time.
  var width: SourceWidth
  var tickAt: Instant?
  var isStarted = false
  var hasCompleted = false
  var hasGivenUp = false

  struct Promised: Sendable {
    var holder: PeerID
    var run: PieceRun
    var until: Instant
    /// Its holder does not receive it yet; it is not to be asked before.
    var notBefore: Instant = .zero
  }

  /// `held` are the pieces the cache has already.
  package init(
    package id: PackageID, geometry: Geometry, held: PieceSet, isOnDemand: Bool = false,
    limits: DownloadLimits = DownloadLimits()
  ) {
    precondition(held.pieceCount == geometry.pieceCount, "the set belongs to the package")
    package = id
    self.geometry = geometry
    self.limits = limits
    width = SourceWidth(limits.sourceCounts, targetByteRate: limits.targetByteRate)
    self.held = held
    self.isOnDemand = isOnDemand
    needed = isOnDemand ? PieceSet(pieceCount: geometry.pieceCount) : held.inverted
    busy = PieceSet(pieceCount: geometry.pieceCount)
    site = SiteRule(pieceCount: geometry.pieceCount)
    hedged = PieceSet(pieceCount: geometry.pieceCount)
    availability = Array(repeating: 0, count: geometry.pieceCount)
    let origin = Source(
      peer: .origin, endpoint: Endpoint(address: .v4(0), port: 0),
      heldPieceCount: geometry.pieceCount,
      uploads: UploadLoad(active: 0, limit: 0, byteRate: 0), isNear: false)
    neighbours = [Neighbour(source: origin)]
    neighbourIDs = [.origin]
    bitmaps = [PieceSet(pieceCount: geometry.pieceCount)]
  }

  /// Takes one event and appends what is to be done to `effects`.
  package mutating func step(
    _ event: Event, now: Instant, rng: inout some RandomNumberGenerator, effects: inout [Effect]
  ) {
    guard !hasGivenUp else { return }
    excuseStandstill(now: now)
    // One draw for a step: everything below uses a generator the compiler can see through.
    var chance = SeededGenerator(seed: rng.next())
    take(event, now: now, chance: &chance, effects: &effects)
    guard isStarted, matters(event) else { return }
    watch(now: now, chance: &chance, effects: &effects)
    watchSite(now: now)
    if held.isFull { finish(effects: &effects) }
    if !isSettled {
      fetchLeases(now: now, effects: &effects)
      fetchFromNeighbours(now: now, chance: &chance, effects: &effects)
      fetchArriving(now: now, chance: &chance, effects: &effects)
      fetchHedges(now: now, chance: &chance, effects: &effects)
      fetchUnleased(now: now, chance: &chance, effects: &effects)
      follow(now: now, effects: &effects)
    }
    announceIfDue(now: now, effects: &effects)
    scheduleTick(now: now, effects: &effects)
  }

  /// A step that comes much later than the tick that was wished for says that this machine stood
  /// still, not that its sources did.
  private mutating func excuseStandstill(now: Instant) {
    guard let tickAt, now - tickAt >= limits.standstillTime else { return }
    excuseSources(now: now)
  }

  private mutating func excuseSources(now: Instant) {
    for index in neighbours.indices { neighbours[index].lastProgress = now }
    lastArrival = now
  }

  /// Most of what happens changes no decision. News do when they name a needed piece of a neighbour
  /// that may be asked; a piece of a peer's run does when it is the last, which `finished` says, or
  /// when nothing else is missing. What time changes, ticks bring.
  // Inlined: a call would copy all of the download.
  @inline(__always)
  private func matters(_ event: Event) -> Bool {
    switch event {
    case .gained(let peer, let runs):
      guard let index = neighbourIndex(peer), neighbours[index].stream == .open,
        neighbours[index].outstandingCount < limits.requestsPerSourceMax,
        neighbours[index].outstandingCount > 0 || requests.count < requestCountEnough
      else { return false }
      return runs.contains { run in
        geometry.contains(run) && run.indices.contains { needed.contains(PieceIndex($0)) }
      }
    case .progressed: return false
    case .promised(_, let runs):
      guard asksForArriving else { return true }
      return requests.count { $0.isArriving } < limits.arrivingRequestCountMax
        && runs.contains { run in
          geometry.contains(run) && run.indices.contains { needed.contains(PieceIndex($0)) }
        }
    case .arrived(_, let id):
      return requests.contains { $0.id == id && $0.source.isOrigin }
    case .verified: return held.isFull || isOnDemand || !leased.isEmpty || !site.crossings.isEmpty
    default: return true
    }
  }

  /// With so many requests under way, no further neighbour would be asked.
  private var requestCountEnough: Int {
    (width.count + limits.sourceCounts.lowerBound) * limits.requestsPerSourceMax
  }

  private mutating func take(
    _ event: Event, now: Instant, chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    switch event {
    case .started:
      isStarted = true
      lastArrival = now
      talk.isUrgent = true
    case .referred(let referral, let interval):
      referred(referral, interval: interval, now: now, chance: &chance, effects: &effects)
    case .trackerFailed:
      talk.failed(now: now, isSettled: isSettled, limits: limits, chance: &chance)
    case .heldBy(let peer, let set):
      heldBy(peer, set)
    case .gained(let peer, let runs):
      for run in runs where geometry.contains(run) { hold(run, at: peer) }
    case .lost(let peer, let runs):
      for run in runs where geometry.contains(run) { unhold(run, at: peer) }
    case .promised(let peer, let runs):
      promise(runs, by: peer, until: now + limits.promiseTime)
    case .haveStreamEnded(let peer, let refused):
      haveStreamEnded(peer, refused: refused, now: now, effects: &effects)
    case .progressed(let id, let byteCount):
      progressed(id, byteCount: byteCount, now: now, effects: &effects)
    case .arrived(let piece, let id):
      arrived(piece, id, now: now, effects: &effects)
    case .verified(let piece, _):
      verified(piece)
    case .rejected(let piece, let id, let culprit):
      cutShort(id, before: piece, effects: &effects)
      rejected(piece, culprit: culprit, now: now, effects: &effects)
    case .finished(let id, let outcome):
      finished(id, outcome, now: now, chance: &chance, effects: &effects)
    case .wanted(let runs):
      wantedRuns = runs.filter { geometry.contains($0) }
      if isOnDemand { adjustNeeded(now: now) }
    case .widened:
      guard isOnDemand, !held.isFull else { return }
      isOnDemand = false
      hasCompleted = false
      adjustNeeded(now: now)
    case .evicted(let run):
      if geometry.contains(run) { evicted(run) }
    case .stoodStill:
      excuseSources(now: now)
    case .ticked:
      tickAt = nil
    }
  }

  /// Asked for, or being verified.
  package func isUnderWay(_ piece: PieceIndex) -> Bool { busy.contains(piece) }

  package var isComplete: Bool { held.isFull || hasCompleted }

  /// Nothing is to be fetched and nothing is under way.
  var isSettled: Bool {
    held.isFull || (isOnDemand && needed.isEmpty && leased.isEmpty && requests.isEmpty)
  }

  func isInScope(_ piece: PieceIndex) -> Bool {
    !isOnDemand || wantedRuns.contains { $0.contains(piece) }
  }

  /// Takes into `needed` what the scope has, and out of it what the scope has not.
  private mutating func adjustNeeded(now: Instant) {
    let wasIdle = isSettled
    needed = PieceSet(pieceCount: geometry.pieceCount)
    held.inverted.forEach { release($0) }
    guard wasIdle, !isSettled else { return }
    lastArrival = now
    talk.isUrgent = true
  }

  /// What the origin is sending us or has leased to us: what we may promise to others.
  package var promises: [PieceRun] {
    leased.map(\.run)
      + requests.filter { $0.source.isOrigin && !$0.rest.isEmpty }
      .map { PieceRun(first: PieceIndex($0.next), count: $0.rest.count) }
  }

  /// Everyone we ever got something from, the origin included, ascending by id.
  package var statistics: [SourceStatistics] {
    neighbours.filter { $0.byteCount > 0 || $0.failureCount > 0 || $0.rejectedPieceCount > 0 }
      .sorted { $0.id < $1.id }
      .map {
        SourceStatistics(
          source: $0.id, byteCount: $0.byteCount, rejectedPieceCount: $0.rejectedPieceCount,
          failureCount: $0.failureCount, byteRate: $0.byteRate)
      }
  }

  /// Peers whose have-stream is open or being opened, ascending.
  package var followed: [PeerID] {
    neighbours.filter { $0.stream != .none }.map(\.id).sorted()
  }

  /// Everyone it has heard of and would fetch from, in the order they were heard of.
  package var known: [PeerID] { neighbours.lazy.filter { !$0.isBanned }.map(\.id) }

  /// Time left at the speed of the last seconds; nil when nothing moves.
  package func timeLeft(now: Instant) -> Duration? {
    guard let rate = speed.byteRate(now: now) else { return nil }
    let missing = Double(geometry.pieceCount - held.count) * Double(geometry.pieceByteCount)
    return .nanoseconds(Int64(min(missing / rate, 1e9) * 1e9))
  }

  private mutating func finish(effects: inout [Effect]) {
    guard !hasCompleted else { return }
    hasCompleted = true
    isOnDemand = true
    for request in requests { effects.append(.cancel(request.id)) }
    requests = []
    leased = []
    for index in neighbours.indices {
      if neighbours[index].stream != .none { effects.append(.unfollow(neighbours[index].id)) }
      neighbours[index].stream = .none
      neighbours[index].outstandingCount = 0
    }
    talk.isUrgent = true
    effects.append(.completed)
  }
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

/// Bytes over the last seconds: two windows, the older fading as the newer fills.
struct SpeedMeter: Sendable {
  private static let window: Duration = .seconds(2)

  private var start: Instant?
  private var older = 0.0
  private var newer = 0.0

  mutating func add(byteCount: Int, now: Instant) {
    turn(now: now)
    newer += Double(byteCount)
  }

  /// Bytes a second; nil when nothing moves.
  func byteRate(now: Instant) -> Double? {
    var copy = self
    copy.turn(now: now)
    guard let start = copy.start else { return nil }
    let part = min(1, max(0, (now - start).seconds / Self.window.seconds))
    let span = Self.window.seconds * (copy.older > 0 ? 1 : max(part, 0.05))
    let rate = (copy.older * (1 - part) + copy.newer) / span
    return rate > 0 ? rate : nil
  }

  private mutating func turn(now: Instant) {
    guard let start else {
      self.start = now
      return
    }
    let age = now - start
    guard age >= Self.window else { return }
    older = age < Self.window * 2 ? newer : 0
    newer = 0
    self.start = now
  }
}
