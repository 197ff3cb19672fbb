import Content
import DequeModule
import HTTP
import Logging
import Operations
import Reactor
import Storage
import Swarm
import Wire

/// Told how a transfer goes: who streams from it, who waits for its end.
protocol TransferObserver: AnyObject {
  /// More of the package is verified.
  func transferGrew(_ transfer: Transfer)
  func transferCompleted(_ transfer: Transfer)
  /// It ended without the whole.
  func transferFailed(_ transfer: Transfer, _ error: PeerError)
}

/// One package on this node: feeds what happens to `Swarm.Download`, performs what that decides, and
/// passes on to the followers what was verified.
final class Transfer {
  enum Outcome: Equatable {
    case ongoing
    case complete
    case failed(PeerError)
  }

  unowned let node: Node
  let manifest: Manifest
  let stored: StoredPackage
  let haveFeed: HaveFeed
  /// Where every node that has it serves it.
  let packagePath: String
  private(set) lazy var arrivals = Arrivals(self)
  private(set) lazy var representation = PackageRepresentation(manifest, stored)
  private(set) var outcome = Outcome.ongoing
  private(set) var tally = TransferTally()

  private var download: Download
  private var events = Deque<Download.Event>()
  /// What the last step wants; kept for its room.
  private var effects: [Download.Effect] = []
  private var isStepping = false
  /// Answers that were under way still arrive, and start nothing more.
  private var isStopped = false
  private var fetches: [RequestID: RunFetch] = [:]
  private var readers: [PeerID: HaveReader] = [:]
  private var addresses: [PeerID: PeerAddress] = [:]
  private var observers: [ObjectIdentifier: any TransferObserver] = [:]
  private var wanted: [ObjectIdentifier: PieceRun] = [:]
  private var isInUse = false
  /// The cache took no piece since then: all in it is in use.
  private var fullSince: Instant?
  private var toldHedges = HedgeOutcomes()
  private var timer: Timer?

  /// - Parameter isOnDemand: only what readers want is fetched, until `widen`.
  init(_ manifest: Manifest, stored: StoredPackage, isOnDemand: Bool, on node: Node) {
    self.node = node
    self.manifest = manifest
    self.stored = stored
    packagePath = "/-/package/\(stored.id)"
    haveFeed = HaveFeed(node.loop, pieceCount: stored.geometry.pieceCount)
    download = Download(
      package: stored.id, geometry: stored.geometry, held: stored.verified,
      isOnDemand: isOnDemand, limits: node.limits)
    asksForArriving = download.asksForArriving
    timer = Timer(node.loop) { [unowned self] in self.feed(.ticked) }
  }

  deinit { if isInUse { stored.endUse() } }

  var geometry: Geometry { stored.geometry }
  var held: PieceSet { download.held }
  var promised: [PieceRun] { download.promises }
  /// Its pieces are large enough to be passed on before they are whole.
  let asksForArriving: Bool
  var heldByteCount: Int {
    min(held.count * geometry.pieceByteCount, geometry.byteCount)
  }
  /// Whom it follows, and who follows it.
  var neighbourCount: Int { readers.count + haveFeed.followerCount }
  var timeLeft: Duration? { download.timeLeft(now: node.loop.now) }
  var sourceStatistics: [SourceStatistics] { download.statistics }

  func start() {
    feed(.started)
    if geometry.pieceCount == 0 { complete() }
    noteUse()
  }

  /// The whole package is wanted from now on.
  func widen() {
    guard download.isOnDemand, !held.isFull else { return }
    outcome = .ongoing
    feed(.widened)
    noteUse()
  }

  func add(_ observer: any TransferObserver) {
    observers[ObjectIdentifier(observer)] = observer
    noteUse()
  }

  func remove(_ observer: any TransferObserver) {
    observers[ObjectIdentifier(observer)] = nil
    noteUse()
  }

  /// What nobody downloads or reads may be evicted as a whole.
  private func noteUse() {
    let isNeeded = !observers.isEmpty || outcome == .ongoing && !download.isOnDemand
    guard isNeeded != isInUse else { return }
    isInUse = isNeeded
    if isNeeded { stored.beginUse() } else { stored.endUse() }
  }

  /// A reader waits for `run`, its first piece most urgently. Several readers take turns in order.
  func setReader(_ reader: AnyObject, wants run: PieceRun) {
    wanted[ObjectIdentifier(reader)] = run
    tellWanted()
  }

  func removeReader(_ reader: AnyObject) {
    guard wanted.removeValue(forKey: ObjectIdentifier(reader)) != nil else { return }
    tellWanted()
  }

  private func tellWanted() {
    feed(.wanted(wanted.values.sorted { $0.first < $1.first }))
  }

  /// Stops everything that is under way; the pieces stay.
  func stop() {
    guard !isStopped else { return }
    isStopped = true
    timer?.cancel()
    for fetch in Array(fetches.values) { fetch.cancel() }
    for reader in Array(readers.values) { reader.cancel() }
    (fetches, readers) = ([:], [:])
    haveFeed.end()
    arrivals.endAll()
    let stored = stored
    // Pieces that were begun and are not gone on with would count as in use for ever.
    node.workers.submit {
      do throws(StorageError) {
        try stored.dropUnverified()
      } catch {
        // The store is closed or the disk refuses: then nothing is left to give back.
      }
    }
  }

  // MARK: What happens

  func feed(_ event: Download.Event) {
    guard !isStopped else { return }
    events.append(event)
    guard !isStepping else { return }
    isStepping = true
    var effects: [Download.Effect] = []
    swap(&effects, &self.effects)
    let node = node
    while !isStopped, let next = events.popFirst() {
      download.step(next, now: node.loop.now, rng: &node.random, effects: &effects)
      for effect in effects where !isStopped { perform(effect) }
      effects.removeAll(keepingCapacity: true)
    }
    swap(&effects, &self.effects)
    isStepping = false
    node.counters.hedged(download, told: &toldHedges)
  }

  /// Addresses remembered; beyond it those of peers nothing is going on with are forgotten.
  private static let addressCountMax = 1_024

  func referred(_ referral: PackageReferral, interval: Duration) {
    if addresses.count > Self.addressCountMax {
      let askedPeers = Set(fetches.values.map(\.source))
      addresses = addresses.filter { readers[$0.key] != nil || askedPeers.contains($0.key) }
    }
    var referral = referral
    // Who speaks TLS does so with everybody.
    if node.settings.speaksTLS {
      referral.sources.removeAll { !$0.peer.isOrigin && !$0.speaksTLS }
    }
    for source in referral.sources where !source.peer.isOrigin {
      if let known = addresses[source.peer], known.isOf(source) { continue }
      addresses[source.peer] = PeerAddress(source)
    }
    feed(.referred(referral, interval: interval))
  }

  func received(_ byteCount: Int, by fetch: RunFetch) {
    feed(.progressed(fetch.id, byteCount: byteCount))
  }

  func ended(_ fetch: RunFetch, _ outcome: FetchOutcome) {
    fetches[fetch.id] = nil
    if outcome == .failed, fetch.source.isOrigin {
      node.origin.advance(from: fetch.connection.endpoint)
    }
    feed(.finished(fetch.id, outcome))
  }

  /// News that came with a request or a response, not in the stream. Only of those it follows: of
  /// others it knows nothing that this could add to.
  func heard(_ field: HaveField, from peer: PeerID, at address: IPAddress) {
    guard let reader = readers[peer], reader.hasOpened,
      reader.connection.endpoint.address.unmapped == address
    else { return }
    if !field.promised.isEmpty { feed(.promised(peer, field.promised)) }
    if !field.gained.isEmpty { feed(.gained(peer, field.gained)) }
  }

  func followingEnded(_ reader: HaveReader, isRefused: Bool) {
    guard readers[reader.peer] === reader else { return }
    readers[reader.peer] = nil
    feed(.haveStreamEnded(reader.peer, refused: isRefused))
  }

  func decided(_ result: IntakeResult) {
    for piece in result.run.pieces { decided(piece, result) }
    for observer in Array(observers.values) { observer.transferGrew(self) }
  }

  private func decided(_ piece: PieceIndex, _ result: IntakeResult) {
    let source = result.source
    switch result.verdict {
    case .verified:
      // Two requests may have brought it; it counts once.
      if !held.contains(piece) { gain(piece, from: source) }
      arrivals.verified(piece)
      feed(.verified(piece, result.request))
    case .rejected:
      arrivals.ended(piece)
      tally.rejectedPieceCount += 1
      node.counters.rejectedPieces.add()
      node.log.warning(
        "a piece did not match the tree; it is fetched again",
        metadata: [
          "package": "\(stored.id)", "piece": "\(piece.rawValue)",
          "source": "\(addresses[source].map { "\($0.endpoint)" } ?? "origin")",
        ])
      feed(.rejected(piece, result.request, culprit: source))
    case .notStored(let error):
      arrivals.ended(piece)
      notStored(error, piece, result.request)
    }
  }

  private func gain(_ piece: PieceIndex, from source: PeerID) {
    let byteCount = geometry.byteRange(of: piece).count
    tally.add(byteCount: byteCount, from: source)
    node.counters.verified(byteCount: byteCount, fromOrigin: source.isOrigin)
    haveFeed.gained(PieceRun(piece))
    fullSince = nil
  }

  private func isFullForAMoment() -> Bool {
    let since = fullSince ?? node.loop.now
    fullSince = since
    return node.loop.now - since < Self.roomPatience
  }

  /// How long a cache may be full of what is in use before a download fails by it, and how long a
  /// piece waits before it is asked for again.
  private static let roomPatience = Duration.seconds(5)
  private static let roomDelay = Duration.milliseconds(50)

  private func notStored(_ error: StorageError, _ piece: PieceIndex, _ request: RequestID) {
    switch error {
    case .incomplete, .contradicted:
      // Two requests brought the same piece; it is simply asked for again.
      feed(.rejected(piece, request, culprit: nil))
    case .limitReached where isFullForAMoment():
      // What readers are sent and what the index does not have yet makes room soon.
      node.after(Self.roomDelay) { [weak self] in
        self?.feed(.rejected(piece, request, culprit: nil))
      }
    case .diskFull, .limitReached, .inUse, .foreignDatabase, .damagedDatabase, .database, .file,
      .mismatched, .discarded, .closed, .unfinished:
      fail(error.asPeerError)
    }
  }

  /// The cache gave pieces up.
  func lost(_ runs: [PieceRun]) {
    for run in runs { feed(.evicted(run)) }
    haveFeed.evicted(runs)
  }

  /// The cache gave the whole package up: nobody shall be referred here for it any more.
  func discarded() {
    let nothing = PieceSet(pieceCount: geometry.pieceCount)
    node.tracker.send(
      PackageReport(
        package: stored.id, pieceCount: geometry.pieceCount, holdings: .whole(nothing)),
      for: self)
    let error = PeerError("the cache gave the package up")
    outcome = .failed(error)
    // A reader may have come after the cache had decided.
    for observer in Array(observers.values) { observer.transferFailed(self, error) }
    node.ended(self)
  }

  // MARK: What is to be done

  private func perform(_ effect: Download.Effect) {
    switch effect {
    case .fetch(let id, let source, let run): fetch(id, from: source, run)
    case .fetchArriving(let id, let source, let piece):
      fetch(id, from: source, PieceRun(piece), isArriving: true)
    case .cancel(let id):
      fetches[id]?.cancel()
      fetches[id] = nil
    case .announce(let report): node.tracker.send(report, for: self)
    case .follow(let source): follow(source)
    case .unfollow(let peer):
      readers[peer]?.cancel()
      readers[peer] = nil
    case .promise(let runs): haveFeed.promised(runs)
    case .tick(let delay): timer?.schedule(after: delay)
    case .completed: complete()
    case .gaveUp(.nobodyHasIt):
      fail(
        PeerError(
          "neither the origin nor any peer sends what is missing",
          isUnverified: tally.rejectedPieceCount > 0))
    }
  }

  private func fetch(
    _ id: RequestID, from source: PeerID, _ run: PieceRun, isArriving: Bool = false
  ) {
    guard
      let connection = node.connection(
        to: source, at: addresses[source], byteCount: geometry.byteCount)
    else {
      events.append(.finished(id, .failed))
      return
    }
    let fetch = RunFetch(
      id, from: source, run, isArriving: isArriving, on: connection, for: self)
    fetches[id] = fetch
    let range = geometry.byteRange(of: run)
    let news =
      source.isOrigin
      ? nil : haveFeed.news(for: source, at: connection.endpoint.address.unmapped)
    connection.send(
      .get, isArriving ? packagePath + "?arriving" : packagePath, silenceMax: Node.fetchSilenceMax,
      receiver: fetch
    ) { head in
      HeadWriter.range(range, to: &head)
      HeadWriter.field(.spatePeer, node.idText, to: &head)
      news?.append(to: &head)
    }
  }

  /// For parts of the tree, from one that sends us pieces: they wait for none of those.
  func treeConnection(to source: PeerID) -> ClientConnection? {
    source.isOrigin
      ? node.controlConnection()
      : addresses[source].flatMap { node.connection(to: $0, isExclusive: true) }
  }

  private func follow(_ source: Source) {
    let address = PeerAddress(source)
    addresses[source.peer] = address
    guard readers[source.peer] == nil, source.peer != node.id else { return }
    guard let connection = node.connection(to: address, isExclusive: true) else {
      events.append(.haveStreamEnded(source.peer, refused: true))
      return
    }
    let reader = HaveReader(source.peer, on: connection, for: self)
    readers[source.peer] = reader
    connection.send(
      .get, "/-/have/\(stored.id)", silenceMax: Node.haveSilenceMax, receiver: reader
    ) { HeadWriter.field(.spatePeer, node.idText, to: &$0) }
  }

  private func complete() {
    guard outcome == .ongoing else { return }
    outcome = .complete
    for observer in Array(observers.values) { observer.transferGrew(self) }
    for observer in Array(observers.values) { observer.transferCompleted(self) }
    noteUse()
  }

  private func fail(_ error: PeerError) {
    guard outcome == .ongoing else { return }
    outcome = .failed(error)
    node.log.error("download failed: \(error)", metadata: ["package": "\(stored.id)"])
    for observer in Array(observers.values) { observer.transferFailed(self, error) }
    node.ended(self)
  }
}
