import Content
import HTTP
import Logging
import Operations
import Posix
import Reactor
import Storage
import Swarm
import Transport
import Wire

/// A machine in the swarm: one loop that downloads, verifies, serves and reports. `spate peer` and
/// `spate get` are two ways to drive it.
///
/// Everything in it belongs to the loop; bytes are hashed and written by workers, and results come
/// back through mailboxes.
final class Node {
  struct Settings {
    var listen: [Endpoint]
    var cache: String
    var cacheByteCountMax: Int?
    var site = ""
    /// See `PeerConfiguration`.
    var uploadCountMax: Int?
    var uploadByteRate: Int?
    var targetByteRate: Int?
    /// Among peers, TLS and nothing else.
    var speaksTLS = false
  }

  /// How long a connection may be silent in the middle of a run; the download itself looks closer.
  static let fetchSilenceMax = Duration.seconds(10)
  /// Have-streams say something at least every `keepAliveInterval`.
  static let haveSilenceMax = Duration.seconds(45)
  static let keepAliveInterval = Duration.seconds(15)
  static let sweepInterval = Duration.seconds(1)
  static let uploadUnsentByteCountMax: Int32 = 64 * 1024

  let loop: EventLoop
  let id: PeerID
  let idText: [UInt8]
  let log: Logger
  let origin: OriginAddress
  let settings: Settings
  let limits: DownloadLimits
  let counters: PeerCounters
  let workers: WorkerPool
  let pool: ConnectionPool
  /// Drawn from with every event of a transfer: seeded by the system once, instead of asking it.
  var random: SeededGenerator
  var uploads: UploadGate
  /// Of responses that are not over.
  var runningUploads: [ObjectIdentifier: UploadSlot] = [:]
  /// Told why the origin is being waited for.
  var onWait: ((String) -> Void)?
  private(set) var transfers: [PackageID: Transfer] = [:]
  private(set) var port: UInt16 = 0
  private(set) var store: PieceStore
  private(set) var intake: PieceIntake
  private(set) var server: Server?
  private(set) lazy var tracker = TrackerLink(self)
  private(set) lazy var opening = PackageOpening(self)

  /// Its certificate's fingerprint is our id; nil when we speak plain HTTP among peers.
  private let identity: PeerIdentity?
  /// Made when the first source that speaks TLS is met: most swarms have none.
  lazy var peerTLS = makePeerTLS()
  private var handler: PeerHandler?
  var control: ClientConnection?
  private var paused: [ClientConnection] = []
  private var sweepTimer: Timer?
  private var pace = CrowdPace()
  private var keepAliveTimer: Timer?
  private let news: Mailbox<IntakeNews>
  private let losses: Mailbox<PieceStore.Loss>
  private let target = NodeReference()
  private var kept: [AnyObject] = []
  let offLoop: OffLoopWork

  /// - Throws: `PeerError` in words for the one who started the node.
  init(
    _ loop: EventLoop, origin: OriginAddress, settings: Settings, counters: PeerCounters,
    log: Logger
  ) throws(PeerError) {
    self.loop = loop
    self.origin = origin
    self.settings = settings
    self.counters = counters
    self.log = log
    var systemRandom = SystemRandomNumberGenerator()
    random = SeededGenerator(seed: systemRandom.next())
    do throws(TLSError) {
      identity = settings.speaksTLS ? try PeerIdentity() : nil
    } catch {
      throw PeerError("cannot start: \(error)")
    }
    if let fingerprint = identity?.fingerprint {
      id = PeerID(high: fingerprint.high, low: fingerprint.low)
    } else {
      id = .random(using: &systemRandom)
    }
    var limits = DownloadLimits()
    limits.targetByteRate = settings.targetByteRate
    self.limits = limits
    idText = Array("\(id)".utf8)
    uploads = UploadGate(
      slotCount: settings.uploadCountMax ?? UploadGate.slotCountDefault,
      dividesSlots: settings.uploadCountMax == nil, byteRate: settings.uploadByteRate)
    pool = ConnectionPool(loop)
    let target = target
    do throws(SystemError) {
      workers = try WorkerPool(name: "spate-work", threadCount: min(max(Machine.coreCount, 1), 4))
      news = try Mailbox(loop) { target.node?.heard($0) }
      losses = try Mailbox(loop) { target.node?.lost($0) }
      offLoop = try OffLoopWork(loop, workers: workers)
    } catch {
      throw PeerError("cannot start: \(error)")
    }
    let losses = losses
    do throws(StorageError) {
      store = try PieceStore(directory: settings.cache, limit: settings.cacheByteCountMax) {
        losses.post($0)
      }
    } catch {
      throw PeerError("\(error)")
    }
    intake = PieceIntake(workers: workers, news: news)
    target.node = self
    sweepTimer = Timer(loop) { [unowned self] in self.sweep() }
    sweepTimer?.schedule(after: Self.sweepInterval)
    keepAliveTimer = Timer(loop) { [unowned self] in self.keepAlive() }
    keepAliveTimer?.schedule(after: Self.keepAliveInterval)
  }

  deinit { target.node = nil }

  /// Starts to serve other peers.
  /// - Returns: where.
  func listen() throws(PeerError) -> [Endpoint] {
    let handler = PeerHandler(self)
    self.handler = handler
    // An upload holds its slot until its bytes are on the way: what a kernel keeps in front of a
    // slow line would let more of them share it than there are slots.
    var limits = ServerLimits()
    limits.unsentByteCountMax = Self.uploadUnsentByteCountMax
    let server = Server(loop, handler: handler, limits: limits, statistics: counters.server)
    self.server = server
    var endpoints: [Endpoint] = []
    var tls: TLSServer?
    if let identity {
      do throws(TLSError) {
        tls = try TLSServer(identity)
      } catch {
        throw PeerError("cannot listen: \(error)")
      }
    }
    for endpoint in settings.listen {
      endpoints.append(try Self.listen(server, on: endpoint, tls: tls))
    }
    port = endpoints.first?.port ?? 0
    return endpoints
  }

  static func listen(
    _ server: Server, on endpoint: Endpoint, tls: TLSServer? = nil
  ) throws(PeerError) -> Endpoint {
    do throws(SystemError) {
      return try server.listen(on: endpoint, tls: tls)
    } catch {
      throw PeerError("cannot listen on \(endpoint): \(error)")
    }
  }

  func announce(reports: [PackageReport], isLeaving: Bool) -> Announce {
    Announce(
      peer: id, port: port, site: settings.site, isLeaving: isLeaving,
      speaksTLS: settings.speaksTLS, uploads: uploads.load, reports: reports)
  }

  // MARK: Transfers

  func adopt(_ transfer: Transfer) {
    transfers[transfer.stored.id] = transfer
    transfer.start()
  }

  /// A transfer is over without its package; what it verified stays in the cache.
  func ended(_ transfer: Transfer) {
    transfer.stop()
    if transfers[transfer.stored.id] === transfer { transfers[transfer.stored.id] = nil }
    loop.bury(transfer)
  }

  private func heard(_ news: IntakeNews) {
    switch news {
    case .decided(let result): transfers[result.package]?.decided(result)
    case .grew(let package, let piece, let count):
      transfers[package]?.arrivals.grew(piece, provenBlockCount: count)
    case .hasRoom: resumePaused()
    }
  }

  private func resumePaused() {
    guard !paused.isEmpty else { return }
    // Others may have taken it meanwhile.
    guard intake.hasRoom else { return intake.awaitRoom() }
    let waiting = paused
    paused = []
    excuseSources()
    for connection in waiting where connection.isOpen { connection.resumeReading() }
  }

  /// Who was not read from has not been silent.
  private func excuseSources() {
    for transfer in Array(transfers.values) { transfer.feed(.stoodStill) }
  }

  private func lost(_ loss: PieceStore.Loss) {
    counters.lostPieces.add(loss.runs.reduce(0) { $0 + $1.count })
    log.info(
      "the cache gave pieces up",
      metadata: ["package": "\(loss.id)", "cause": "\(loss.cause)", "runs": "\(loss.runs.count)"])
    guard let transfer = transfers[loss.id] else { return }
    transfer.lost(loss.runs)
    if loss.isWhole { transfer.discarded() }
  }

  /// Reads no more from `connection` until the workers have caught up.
  func pause(_ connection: ClientConnection) {
    connection.pauseReading()
    paused.append(connection)
    intake.awaitRoom()
  }

  /// Runs `body` once, later.
  func after(_ delay: Duration, _ body: @escaping () -> Void) {
    var timer: Timer?
    timer = Timer(loop) {
      body()
      timer = nil
    }
    timer?.schedule(after: delay)
  }

  /// Asks the origin again a little later, where that may help.
  /// - Returns: false when it is no use any more.
  func retry(
    _ schedule: RetrySchedule, after failure: RequestFailure, on connection: ClientConnection,
    _ body: @escaping (RetrySchedule) -> Void
  ) -> Bool {
    var schedule = schedule
    origin.advance(from: connection.endpoint)
    let isUnreachable =
      switch failure {
      case .unreachable, .malformed: true
      case .connection, .timedOut, .cancelled: false
      }
    let delay = schedule.next(
      isUnreachable: isUnreachable, placeCount: origin.endpoints.count,
      hadAnswered: connection.hasAnswered, now: loop.now, rng: &random)
    guard let delay else { return false }
    let next = schedule
    if delay == .zero { body(next) } else { waits("\(failure)", for: delay) { body(next) } }
    return true
  }

  /// Goes on after `delay`, and says what for.
  func waits(_ reason: String, for delay: Duration, _ body: @escaping () -> Void) {
    log.info("waiting for the origin: \(reason)")
    onWait?(reason)
    after(delay, body)
  }

  /// Keeps what must live as long as the node.
  func keep(_ object: AnyObject) { kept.append(object) }

  private func makePeerTLS() -> TLSClient? {
    do throws(TLSError) {
      return try TLSClient.forPeers()
    } catch {
      log.error("cannot speak TLS with peers: \(error)")
      return nil
    }
  }

  private func sweep() {
    sweepTimer?.schedule(after: Self.sweepInterval)
    keepPace()
    pool.sweep(now: loop.now)
    lendStillSlots()
    if !paused.isEmpty { excuseSources() }
    // When every connection was paused in the middle of a piece, no verdict comes to resume one.
    resumePaused()
  }

  func lendStillSlots() {
    for slot in runningUploads.values { slot.lapseIfStill() }
  }

  private func keepPace() {
    pace.note(
      total: transfers.values.reduce(0) { $0 + $1.tally.byteCount },
      neighbourCount: transfers.values.reduce(0) { max($0, $1.neighbourCount) })
    loop.gatheringTime = pace.gatheringTime
    for transfer in transfers.values { transfer.haveFeed.turnInterval = pace.newsInterval }
  }

  private func keepAlive() {
    keepAliveTimer?.schedule(after: Self.keepAliveInterval)
    for transfer in Array(transfers.values) { transfer.haveFeed.keepAlive() }
  }

  // MARK: The end

  /// Says goodbye, stops what is under way and closes the store; `done` is the last call.
  func shutDown(_ done: @escaping () -> Void) {
    var isDone = false
    let finish = { [self] in
      guard !isDone else { return }
      isDone = true
      for transfer in Array(transfers.values) { transfer.stop() }
      pool.closeAll()
      server?.close()
      done()
    }
    let deadline = Timer(loop) { finish() }
    deadline.schedule(after: Self.farewellTime)
    tracker.leave {
      deadline.cancel()
      finish()
    }
  }

  private static let farewellTime = Duration.milliseconds(300)

  /// After the loop has stopped: no work is left behind.
  func close(removingStore: Bool) throws(StorageError) {
    workers.stop()
    if removingStore {
      try store.destroy()
    } else {
      try store.close()
    }
  }
}

/// Lets mailboxes made before the node find it, without keeping it. The node takes itself out as it
/// dies: a weak reference would make every retain of it a slow one.
private final class NodeReference {
  unowned(unsafe) var node: Node?
}

/// Why a peer cannot start or go on, in one line for its owner.
package struct PeerError: Error, Hashable, CustomStringConvertible, Sendable {
  package let description: String
  /// What arrived is not what the origin published.
  let isUnverified: Bool

  init(_ description: String, isUnverified: Bool = false) {
    self.description = description
    self.isUnverified = isUnverified
  }
}
