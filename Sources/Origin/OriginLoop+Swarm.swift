import Content
import HTTP
import Operations
import Reactor
import Storage
import Swarm
import Synchronization
import Wire

/// Announces and referrals: the tracker's side of a request.
extension OriginLoop {
  func answerAnnounce(
    _ body: Span<UInt8>, _ head: RequestHead, _ bytes: Span<UInt8>,
    _ connection: ServerConnection
  ) {
    metrics.count(.announce)
    state.metrics.announceBytes.add(body.count)
    do throws(WireError) {
      let announce = try Announce.decode(body)
      note(announce.peer, on: connection)
      announces.add(
        HeardAnnounce(announce, from: connection.remote.address), on: connection,
        wantsJSON: head.accepts(ContentType.json, in: bytes))
      // A connection that ends with the answer would be watched for nothing until then.
      if announces.isFull || !head.keepsAlive { announces.answer() }
    } catch {
      refuse(error, connection)
    }
  }

  /// Answers announces in their order.
  func answer(_ calls: [AnnounceQueue.Call], _ heard: [HeardAnnounce]) {
    let (now, load, backlog) = (loop.now, originLoad, state.plain.queuedByteCount)
    var generator = generator
    var referrals: [Referral] = []
    referrals.reserveCapacity(heard.count)
    for isSecondTry in [false, true] {
      let isDone = state.tracker.withLock { tracker in
        // What the tracker does not know it is told of first.
        guard isSecondTry || heard.allSatisfy({ tracker.knowsAll(of: $0.announce) }) else {
          return false
        }
        tracker.originLoad = load
        tracker.originBacklogByteCount = backlog
        tracker.announce(heard.span, now: now, rng: &generator) { referrals.append($1) }
        return true
      }
      if isDone { break }
      for one in heard {
        for report in one.announce.reports { state.registerIfKnown(report.package) }
      }
    }
    self.generator = generator
    for index in calls.indices {
      let call = calls[index]
      call.connection.sendAtOnce {
        send(referrals[index], asJSON: call.wantsJSON, call.connection)
      }
    }
    if heard.contains(where: { $0.announce.complains }) { beginInquiries() }
  }

  func answerReferral(
    _ name: Range<Int>, _ head: RequestHead, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    metrics.count(.referral)
    guard let id = packageID(bytes, name, connection) else { return }
    do throws(WireError) {
      let peer = try head.peer(in: bytes)
      state.registerIfKnown(id)
      let (address, now, load) = (connection.remote.address, loop.now, originLoad)
      var generator = generator
      let sources = state.tracker.withLock { tracker in
        tracker.originLoad = load
        return tracker.sources(
          of: id, for: address, except: peer, now: now, rng: &generator)
      }
      self.generator = generator
      guard let sources else { return connection.respondText(.notFound, "no such package") }
      let interval = TrackerLimits().interval.lowerBound
      send(
        Referral(interval: interval, packages: [sources]),
        asJSON: head.accepts(ContentType.json, in: bytes), connection)
    } catch {
      refuse(error, connection)
    }
  }

  /// What the head of a binary answer has of its own.
  private static let messageFields: [UInt8] = {
    var fields: [UInt8] = []
    HeadWriter.field(.contentType, ContentType.message, to: &fields)
    HeadWriter.field(.cacheControl, "no-store", to: &fields)
    return fields
  }()

  private var originLoad: UploadLoad {
    UploadLoad(
      active: state.activeUploads.load(ordering: .relaxed), limit: 0,
      byteRate: state.sendByteRate.load(ordering: .relaxed))
  }

  private func send(_ referral: Referral, asJSON: Bool, _ connection: ServerConnection) {
    guard !asJSON else {
      return connection.respond(.ok, body: .bytes(referral.json())) {
        HeadWriter.field(.contentType, ContentType.json, to: &$0)
        HeadWriter.field(.cacheControl, "no-store", to: &$0)
      }
    }
    var message: [UInt8] = []
    swap(&message, &messageBuffer)
    referral.encode(into: &message)
    connection.respond(.ok, body: .bytes(message)) { $0 += Self.messageFields }
    messageBuffer = message
  }

  func serveHave(
    _ name: Range<Int>, _ head: RequestHead, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    metrics.count(.have)
    guard let id = packageID(bytes, name, connection) else { return }
    guard let found = state.catalogue.package(id) else {
      return connection.respondText(.notFound, "no such package")
    }
    let pieces = PieceSet.full(pieceCount: found.entry.manifest.geometry.pieceCount)
    if head.accepts(ContentType.json, in: bytes) {
      return connection.respond(.ok, body: .bytes(HaveFrame.json(held: pieces, promised: []))) {
        HeadWriter.field(.contentType, ContentType.json, to: &$0)
      }
    }
    let stream = HaveStream(self, connection)
    haveStreams[ObjectIdentifier(stream)] = stream
    connection.startStreaming(.ok, length: nil, source: stream) {
      HeadWriter.field(.contentType, ContentType.message, to: &$0)
    }
    connection.append(HaveFrame.preamble + HaveFrame.bitmap(pieces).encode())
    if head.method == .head || state.isDraining.load(ordering: .relaxed) { stream.end() }
  }
}

/// The origin has everything from the beginning: after the bitmap it only says that it is alive.
final class HaveStream: BodySource {
  private static let interval = Duration.seconds(10)

  private unowned let owner: OriginLoop
  private let connection: ServerConnection
  private var timer: Timer?

  init(_ owner: OriginLoop, _ connection: ServerConnection) {
    self.owner = owner
    self.connection = connection
    timer = Timer(owner.loop) { [unowned self] in self.keepAlive() }
    timer?.schedule(after: Self.interval)
  }

  func end() { connection.endStreaming() }

  private func keepAlive() {
    timer?.schedule(after: Self.interval)
    // One that does not read what it has gets no more of it.
    if connection.queuedByteCount == 0 { connection.append(HaveFrame.keepAlive.encode()) }
  }

  func bodyDrained(on connection: ServerConnection) {}

  func bodyClosed(on connection: ServerConnection) {
    timer?.cancel()
    owner.haveStreams[ObjectIdentifier(self)] = nil
    owner.loop.bury(self)
  }
}
