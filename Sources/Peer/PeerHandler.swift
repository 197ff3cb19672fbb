import Content
import HTTP
import Operations
import Posix
import Reactor
import Storage
import Swarm
import Wire

/// Answers other peers: pieces, have-streams, parts of the tree; and its owner: metrics, status,
/// health. It serves packages by id only, never a path.
final class PeerHandler: RequestHandler {
  private unowned let node: Node
  /// The last package that pieces were asked of, and by which path: requests for pieces are many, and
  /// mostly for the same package.
  private var last: (path: [UInt8], id: PackageID)?

  init(_ node: Node) { self.node = node }

  func bodyByteCountMax(of head: RequestHead, bytes: Span<UInt8>) -> Int { 0 }

  func handle(
    _ head: RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, on connection: ServerConnection
  ) {
    guard head.method == .get || head.method == .head else {
      return connection.respondMethodNotAllowed("GET, HEAD")
    }
    if let (path, id) = last, head.path.count == path.count, let transfer = node.transfers[id],
      zip(head.path, path).allSatisfy({ bytes[$0] == $1 })
    {
      return package(transfer, head, bytes, on: connection)
    }
    let path = String(decoding: head.path.map { bytes[$0] }, as: UTF8.self)
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[0].isEmpty, parts[1] == "-" else {
      return connection.respondText(
        .notFound, "this is a peer: it serves packages by id under /-/package/")
    }
    switch (parts[2], parts.count) {
    case ("health", 3): connection.respondText(.ok, "ok")
    case ("metrics", 3): metrics(on: connection)
    case ("status", 3): status(on: connection)
    case ("package", 4), ("have", 4), ("tree", 4):
      guard let id = PackageID(hex: parts[3]) else {
        return connection.respondText(.badRequest, "a package's id is 64 base-16 digits")
      }
      guard let transfer = node.transfers[id] else {
        return connection.respondText(.notFound, "this peer does not have the package")
      }
      switch parts[2] {
      case "package":
        last = (Array(path.utf8), id)
        package(transfer, head, bytes, on: connection)
      case "have": have(transfer, head, bytes, on: connection)
      default: tree(transfer, head, bytes, on: connection)
      }
    default: connection.respondText(.notFound, "nothing is here")
    }
  }

  private func metrics(on connection: ServerConnection) {
    let text = Array(node.counters.registry.prometheusText().utf8)
    connection.respond(.ok, body: .bytes(text)) {
      HeadWriter.field(.contentType, ContentType.metrics, to: &$0)
    }
  }

  private func status(on connection: ServerConnection) {
    var json = JSONWriter()
    json.object { json in
      json.member("peer", "\(node.id)")
      json.member("origin", "\(node.origin.url)")
      json.member("cache_bytes", node.store.usedByteCount)
      json.member("uploads", node.uploads.load.active)
      json.member("max_uploads", node.uploads.load.limit)
      json.array("packages") { json in
        for transfer in node.transfers.values.sorted(by: { $0.stored.id < $1.stored.id }) {
          json.object { $0.describe(transfer) }
        }
      }
    }
    connection.respond(.ok, body: .bytes(json.bytes + [0x0a])) {
      HeadWriter.field(.contentType, ContentType.json, to: &$0)
    }
  }

  // MARK: Pieces

  private func package(
    _ transfer: Transfer, _ head: RequestHead, _ bytes: Span<UInt8>,
    on connection: ServerConnection
  ) {
    let described = transfer.representation
    let representation = head.has(.spatePeer) ? described.forPeers : described.forOthers
    var plan = ContentPlan(head, bytes: bytes, for: representation)
    // Several ranges: a server may send the whole instead (RFC 9110 section 14.2), and the whole
    // passes the gate.
    if case .ranges = plan { plan = .whole }
    let range: ByteRange?
    switch plan {
    case .range(let wanted): range = wanted
    case .whole: range = ByteRange(offset: 0, count: transfer.geometry.byteCount)
    case .notModified, .preconditionFailed, .unsatisfiable, .ranges: range = nil
    }
    guard let range, head.method == .get else {
      // No content: a browser may ask so, a peer does not.
      guard transfer.stored.isWhole, transfer.stored.isIntact, let all = wholeSlice(transfer) else {
        return connection.respondText(.notFound, "this peer has only a part of the package")
      }
      let upload = Upload(all, slot: nil, on: node)
      return connection.respond(plan, with: representation, file: all.slice.file, observer: upload)
      {
        _ in
      }
    }
    send(range, plan, representation, transfer, head, bytes, on: connection)
  }

  private func wholeSlice(_ transfer: Transfer) -> PinnedSlice? {
    ByteRange(offset: 0, count: transfer.geometry.byteCount).flatMap {
      transfer.stored.pinnedSlice($0)
    }
  }

  private func send(
    _ range: ByteRange, _ plan: ContentPlan, _ representation: Representation,
    _ transfer: Transfer, _ head: RequestHead, _ bytes: Span<UInt8>,
    on connection: ServerConnection
  ) {
    let pinned = transfer.stored.isIntact ? transfer.stored.pinnedSlice(range) : nil
    let piece =
      pinned == nil && head.asksForArriving(bytes) ? transfer.arrivals.piece(of: range) : nil
    guard pinned != nil || piece != nil else {
      return connection.respondText(.notFound, "this peer does not hold those pieces")
    }
    let asker: PeerID?
    do throws(WireError) {
      asker = try head.peer(in: bytes)
    } catch {
      return connection.respondText(error.status, error.reason)
    }
    let address = connection.remote.address
    do throws(WireError) {
      if let asker, let heard = try head.have(in: bytes, of: transfer.geometry) {
        transfer.heard(heard, from: asker, at: address)
      }
    } catch {
      return connection.respondText(error.status, error.reason)
    }
    switch node.uploads.admit(peer: asker, now: node.loop.now) {
    case .busy(let delay):
      node.counters.busyRefusals.add()
      let news = asker.flatMap { transfer.haveFeed.news(for: $0, at: address) }
      connection.respondText(.serviceUnavailable, "at the upload limit") {
        news?.append(to: &$0)
        HeadWriter.field(.retryAfter, Int(delay.seconds.rounded(.up)), to: &$0)
        HeadWriter.field(.spateRetry, Int(delay.nanoseconds / 1_000_000), to: &$0)
      }
    case .granted:
      let slot = UploadSlot(
        grantedTo: asker, isPassedOn: pinned == nil, by: node, on: connection)
      guard let pinned else {
        guard let piece else { preconditionFailure("one of them was found") }
        let upload = ArrivingUpload(range, of: piece, slot: slot, transfer)
        return upload.start(plan, representation, on: connection)
      }
      let upload = Upload(pinned, slot: slot, on: node)
      if node.settings.uploadByteRate == nil {
        let news = asker.flatMap { transfer.haveFeed.news(for: $0, at: address) }
        connection.respond(
          plan, with: representation, file: pinned.slice.file, observer: upload
        ) { news?.append(to: &$0) }
      } else {
        upload.sendPaced(plan, representation, on: connection)
      }
    }
  }

  private func have(
    _ transfer: Transfer, _ head: RequestHead, _ bytes: Span<UInt8>,
    on connection: ServerConnection
  ) {
    let isJSON = head.accepts(ContentType.json, in: bytes)
    guard isJSON || head.method == .head else {
      do throws(WireError) {
        let asker = try head.peer(in: bytes)
        return transfer.haveFeed.add(
          connection, of: asker, held: transfer.held, promised: transfer.promised)
      } catch {
        return connection.respondText(error.status, error.reason)
      }
    }
    let json = HaveFrame.json(held: transfer.held, promised: transfer.promised)
    connection.respond(.ok, body: isJSON ? .bytes(json) : .empty) {
      HeadWriter.field(
        .contentType, isJSON ? ContentType.json : ContentType.message, to: &$0)
    }
  }

  // MARK: The tree

  /// Work waiting for the workers; beyond it nobody is told of the tree.
  private static let waitingTreeCountMax = 64

  private func tree(
    _ transfer: Transfer, _ head: RequestHead, _ bytes: Span<UInt8>,
    on connection: ServerConnection
  ) {
    let slice: TreeSlice
    do throws(WireError) {
      guard let query = head.query,
        let asked = try TreeQuery(bytes, query).slice(of: transfer.geometry.tree)
      else { throw WireError(.badRequest, "the tree has no such slice") }
      slice = asked
    } catch {
      return connection.respondText(error.status, error.reason)
    }
    // The workers verify what arrives; questions must not keep them from it.
    guard node.workers.waitingCount < Self.waitingTreeCountMax else {
      return connection.respondText(.serviceUnavailable, "too many parts of trees are asked for") {
        HeadWriter.field(.retryAfter, 1, to: &$0)
      }
    }
    let (stored, isJSON) = (transfer.stored, head.accepts(ContentType.json, in: bytes))
    let arriving = transfer.arrivals.hashes(under: slice)
    node.offLoop.run {
      TreePart.read(slice, of: stored, arriving: arriving)
    } then: { message in
      guard let message else {
        return connection.respondText(.notFound, "this peer does not hold those pieces")
      }
      connection.respond(.ok, body: .bytes(isJSON ? message.json() : message.encode())) {
        HeadWriter.field(
          .contentType, isJSON ? ContentType.json : ContentType.message, to: &$0)
      }
    }
  }
}

extension RequestHead {
  /// What the asking peer says it has besides.
  fileprivate func have(
    in bytes: Span<UInt8>, of geometry: Geometry
  ) throws(WireError) -> HaveField? {
    guard let range = range(of: .spateHave) else { return nil }
    return try HaveField(bytes, range, pieceCount: geometry.pieceCount)
  }

  /// `?arriving`: the client also takes bytes of pieces that are still being received.
  fileprivate func asksForArriving(_ bytes: Span<UInt8>) -> Bool {
    guard let query, query.count == Self.arriving.count else { return false }
    return zip(query, Self.arriving).allSatisfy { bytes[$0] == $1 }
  }

  private static let arriving = Array("arriving".utf8)
}

extension JSONWriter {
  fileprivate mutating func describe(_ transfer: Transfer) {
    member("id", "\(transfer.stored.id)")
    member("path", transfer.manifest.path)
    member("bytes", transfer.geometry.byteCount)
    member("pieces", transfer.geometry.pieceCount)
    member("held", transfer.held.count)
    member("followers", transfer.haveFeed.followerCount)
    member("from_origin", transfer.tally.fromOriginByteCount)
    member("from_peers", transfer.tally.fromPeersByteCount)
    member("rejected", transfer.tally.rejectedPieceCount)
    array("sources") { json in
      for source in transfer.sourceStatistics {
        json.object {
          $0.member("peer", source.source.isOrigin ? "origin" : "\(source.source)")
          $0.member("bytes", source.byteCount)
          $0.member("bytes_per_second", source.byteRate)
          $0.member("rejected", source.rejectedPieceCount)
          $0.member("failures", source.failureCount)
        }
      }
    }
  }
}
