import Content
import HTTP
import Logging
import Posix
import Reactor
import Storage
import Swarm
import Transport
import Wire

/// One loop of an origin: takes connections, answers requests. Lives on one thread.
final class OriginLoop: RequestHandler {
  /// How long responses may take to finish when the origin is asked to end.
  static let drainDurationMax = Duration.seconds(10)

  let loop: EventLoop
  let state: OriginState
  let metrics = LoopMetrics()
  let log: Logger
  let logsRequests: Bool
  var cache: FileCache
  /// Where small files are read to; not the loop's own buffer, which has the request.
  let scratch = UnsafeMutableRawBufferPointer.allocate(
    byteCount: FileCache.heldFileByteCountMax, alignment: 16)
  /// Where referrals are written, so that none is allocated.
  var messageBuffer: [UInt8] = []
  private(set) lazy var announces = AnnounceQueue(self)
  var generator = SeededGenerator(seed: .random(in: .min ... .max))
  /// Responses that others prepare: parts of trees by ticket, manifests that are nearly ready.
  var awaitedTrees: [Int: ServerConnection] = [:]
  var nextTicket = 0
  var manifestWaits: [ObjectIdentifier: ManifestWait] = [:]
  var haveStreams: [ObjectIdentifier: HaveStream] = [:]
  var treeMailbox: Mailbox<TreeAnswer>?
  /// Responses that leave at the operator's rate, those to members of the swarm, and which peer
  /// speaks on which connection.
  var pacedBodies: [ObjectIdentifier: PacedBody] = [:]
  var uploads: [ObjectIdentifier: Upload] = [:]
  var contacts: [ObjectIdentifier: PeerContact] = [:]
  var stallTimer: Timer?
  var lag = LoopLag()
  /// Peers that are being asked because others complained of them.
  var inquiries: [ObjectIdentifier: SourceInquiry] = [:]
  var inquiryMailbox: Mailbox<InquiryAnswer>?

  /// Called when nothing is left to do, perhaps twice; without it the loop stops by itself.
  var whenDone: (() -> Void)?

  private var server: Server?
  private var drainTimer: Timer?
  private var lagTimer: Timer?

  init(_ state: OriginState) throws(SystemError) {
    loop = try EventLoop()
    self.state = state
    log = state.log
    logsRequests = state.log.logLevel <= .debug
    cache = FileCache(capacity: state.cachedFileCountMax)
    server = Server(loop, handler: self, limits: ServerLimits(), statistics: metrics.statistics)
    state.metrics.add(metrics)
    treeMailbox = try Mailbox(loop) { [unowned self] in self.answer($0) }
    lagTimer = Timer(loop) { [unowned self] in self.checkLag() }
    checkLag()
    inquiryMailbox = try Mailbox(loop) { [unowned self] in self.learned($0) }
  }

  deinit { scratch.deallocate() }

  /// Takes connections on `endpoints`.
  /// - Returns: the same with the ports that were picked where they were 0.
  func listen(
    on endpoints: OriginEndpoints, sharesPort: Bool
  ) throws(OriginError) -> OriginEndpoints {
    guard let server else { return OriginEndpoints() }
    var actual = OriginEndpoints()
    for endpoint in endpoints.plain {
      actual.plain.append(try Self.listen(server, on: endpoint, sharesPort, tls: nil))
    }
    for endpoint in endpoints.tls {
      actual.tls.append(try Self.listen(server, on: endpoint, sharesPort, tls: state.tls))
    }
    return actual
  }

  private static func listen(
    _ server: Server, on endpoint: Endpoint, _ sharesPort: Bool, tls: TLSServer?
  ) throws(OriginError) -> Endpoint {
    do {
      return try server.listen(on: endpoint, sharesPort: sharesPort, tls: tls)
    } catch {
      throw OriginError(error, listeningOn: endpoint)
    }
  }

  func run() { loop.run() }

  private func checkLag() {
    lag.ticked(now: loop.now)
    lagTimer?.schedule(after: LoopLag.interval)
  }

  /// Takes no more connections, finishes the responses, then ends `run()`.
  func drain() {
    guard let server, drainTimer == nil else { return }
    let timer = Timer(loop) { [unowned self] in self.end() }
    timer.schedule(after: Self.drainDurationMax)
    drainTimer = timer
    for stream in Array(haveStreams.values) { stream.end() }
    for wait in Array(manifestWaits.values) { wait.giveUp() }
    server.drain { [unowned self] in self.finish() }
  }

  /// Ends at once, whatever is under way.
  func end() {
    server?.close()
    finish()
  }

  private func finish() {
    if let whenDone { whenDone() } else { loop.stop() }
  }
}

/// Where an origin listens.
struct OriginEndpoints: Sendable {
  var plain: [Endpoint] = []
  var tls: [Endpoint] = []

  var all: [Endpoint] { plain + tls }
}
