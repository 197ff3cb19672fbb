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
      let address = connection.remote.address
      var referral = answer(to: announce, from: address, evenIfUnknown: false)
      if referral == nil {
        for report in announce.reports { state.registerIfKnown(report.package) }
        referral = answer(to: announce, from: address, evenIfUnknown: true)
      }
      if let referral { send(referral, head, bytes, connection) }
      if announce.reports.contains(where: { !$0.complaints.isEmpty }) { beginInquiries() }
    } catch {
      refuse(error, connection)
    }
  }

  /// Nil when the tracker does not know all the packages and is to be told of them first.
  private func answer(
    to announce: Announce, from address: IPAddress, evenIfUnknown: Bool
  ) -> Referral? {
    let (now, load, backlog) = (loop.now, originLoad, state.plain.queuedByteCount)
    var generator = generator
    defer { self.generator = generator }
    return state.tracker.withLock { tracker in
      guard evenIfUnknown || announce.reports.allSatisfy({ tracker.knows($0.package) }) else {
        return nil
      }
      tracker.originLoad = load
      tracker.originBacklogByteCount = backlog
      return tracker.announce(announce, from: address, now: now, rng: &generator)
    }
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
      send(Referral(interval: interval, packages: [sources]), head, bytes, connection)
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

  private func send(
    _ referral: Referral, _ head: RequestHead, _ bytes: Span<UInt8>,
    _ connection: ServerConnection
  ) {
    guard !head.accepts(ContentType.json, in: bytes) else {
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
