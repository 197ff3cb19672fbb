import Content
import Digests
import HTTP
import Operations
import Posix
import Reactor
import Storage
import Swarm
import Testing
import Wire

@testable import Peer

@Suite struct TransferTests {
  /// Remembers what it was told.
  final class Watcher: TransferObserver {
    private(set) var growth = 0
    private(set) var completions = 0
    private(set) var errors: [PeerError] = []

    var isOver: Bool { completions + errors.count > 0 }

    func transferGrew(_ transfer: Transfer) { growth += 1 }
    func transferCompleted(_ transfer: Transfer) { completions += 1 }
    func transferFailed(_ transfer: Transfer, _ error: PeerError) { errors.append(error) }
  }

  private static func content(of transfer: Transfer) throws -> [UInt8] {
    let whole = try #require(ByteRange(offset: 0, count: transfer.geometry.byteCount))
    let slice = try #require(transfer.stored.pinnedSlice(whole)).slice
    var bytes = [UInt8](repeating: 0, count: whole.count)
    let count = try bytes.withUnsafeMutableBytes { try slice.file.read(into: $0, at: 0) }
    #expect(count == whole.count)
    return bytes
  }

  private static func complete(_ transfer: Transfer, _ loop: EventLoop) -> Watcher {
    let watcher = Watcher()
    transfer.add(watcher)
    loop.run { watcher.isOver || transfer.outcome != .ongoing }
    transfer.remove(watcher)
    return watcher
  }

  @Test(arguments: [1, 65_536, 65_537, 1_000_000])
  func completesFromTheOrigin(byteCount: Int) throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: byteCount)
    let origin = try FakeOrigin(loop, package)
    let test = try TestNode(loop, origin: origin.server.url())
    let transfer = try test.open(package.manifest)
    let watcher = Self.complete(transfer, loop)
    #expect(watcher.errors.isEmpty)
    #expect(transfer.outcome == .complete)
    #expect(try Self.content(of: transfer) == package.bytes)
    #expect(transfer.tally.fromOriginByteCount == byteCount)
    #expect(transfer.tally.fromPeersByteCount == 0)
    try test.close()
  }

  @Test func theEmptyPackageIsCompleteAtOnce() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 0)
    let origin = try FakeOrigin(loop, package)
    let test = try TestNode(loop, origin: origin.server.url())
    let transfer = try test.open(package.manifest)
    #expect(transfer.outcome == .complete)
    try test.close()
  }

  @Test func goesOnWhereAnEarlierRunEnded() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 10 * 65_536)
    let origin = try FakeOrigin(loop, package)
    let kept = [0, 1, 5, 9]
    let test = try TestNode(loop, origin: origin.server.url()) { store in
      let stored = try package.open(in: store)
      for piece in kept {
        let offset = piece * 65_536
        try package.piece(piece).withUnsafeBytes { try stored.write($0, at: offset) }
        try stored.commit(PieceRun(PieceIndex(piece)))
      }
    }
    let transfer = try test.open(package.manifest)
    #expect(transfer.held.count == kept.count)
    _ = Self.complete(transfer, loop)
    #expect(try Self.content(of: transfer) == package.bytes)
    let fetched = Set(origin.contentRanges.flatMap { Array($0.offset / 65_536...$0.last / 65_536) })
    #expect(fetched == Set(0..<10).subtracting(kept))
    #expect(!origin.server.requests.contains { $0.path.hasPrefix("/-/tree/") })
    try test.close()
  }

  @Test func aCorruptingPeerIsRejectedAndReported() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 6 * 65_536)
    let origin = try FakeOrigin(loop, package)
    let liar = PeerID(high: 7, low: 7)
    let peer = try FakeServer(loop) { request, connection in
      if request.path.hasPrefix("/-/package/") {
        connection.send(package.bytes.map { $0 ^ 1 }, for: request)
      } else {
        OpenBody.start(
          HaveFrame.preamble
            + HaveFrame.bitmap(.full(pieceCount: package.geometry.pieceCount)).encode(),
          on: connection)
      }
    }
    var complaints: [Complaint] = []
    origin.refer = { announce, package in
      complaints += announce.reports.flatMap(\.complaints)
      var referral = PackageReferral(
        package: package.digests.id, pieceCount: package.geometry.pieceCount)
      if complaints.contains(where: { $0.kind == .corrupt }) {
        referral.leases = [Lease(run: package.allPieces, term: .seconds(30))]
      } else {
        referral.sources = [
          Source(
            peer: liar, endpoint: peer.endpoint, heldPieceCount: package.geometry.pieceCount,
            uploads: UploadLoad(active: 0, limit: 8, byteRate: 0), isNear: true)
        ]
      }
      return referral
    }
    let test = try TestNode(loop, origin: origin.server.url())
    let transfer = try test.open(package.manifest)
    let watcher = Self.complete(transfer, loop)
    #expect(watcher.errors.isEmpty)
    #expect(try Self.content(of: transfer) == package.bytes)
    #expect(transfer.tally.rejectedPieceCount > 0)
    #expect(transfer.tally.fromPeersByteCount == 0)
    #expect(transfer.tally.fromOriginByteCount == package.bytes.count)
    #expect(complaints.allSatisfy { $0.source == liar })
    try test.close()
  }

  @Test func whatASilentPeerOwesIsAskedOfAnotherAndCounted() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 65_536)
    let origin = try FakeOrigin(loop, package)
    var askedCount = 0
    let answer = { (request: FakeRequest, connection: ServerConnection) in
      guard request.path.hasPrefix("/-/package/") else {
        return OpenBody.start(
          HaveFrame.preamble + HaveFrame.bitmap(.full(pieceCount: 1)).encode(), on: connection)
      }
      askedCount += 1
      // Whoever is asked first says nothing.
      if askedCount > 1 { connection.send(package.bytes, for: request) }
    }
    let peers = [try FakeServer(loop, answer), try FakeServer(loop, answer)]
    origin.refer = { _, package in
      var referral = PackageReferral(package: package.digests.id, pieceCount: 1)
      referral.sources = peers.enumerated().map { number, peer in
        Source(
          peer: PeerID(high: 7, low: UInt64(number)), endpoint: peer.endpoint, heldPieceCount: 1,
          uploads: UploadLoad(active: 0, limit: 8, byteRate: 0), isNear: true)
      }
      return referral
    }
    let test = try TestNode(loop, origin: origin.server.url())
    let transfer = try test.open(package.manifest)
    let watcher = Self.complete(transfer, loop)
    #expect(watcher.errors.isEmpty)
    #expect(try Self.content(of: transfer) == package.bytes)
    let metrics = test.node.counters.registry.prometheusText()
    #expect(metrics.contains("spate_hedged_requests_total{outcome=\"won\"} 1\n"))
    #expect(metrics.contains("spate_hedged_requests_total{outcome=\"lost\"} 0\n"))
    try test.close()
  }

  @Test func aBusyOriginIsAskedAgainForTheTree() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 3 * 65_536)
    let origin = try FakeOrigin(loop, package)
    var refusals = 0
    origin.intercept = { request, connection in
      guard request.path.hasPrefix("/-/tree/"), refusals < 2 else { return false }
      refusals += 1
      connection.respondText(.serviceUnavailable, "busy") {
        HeadWriter.field(.retryAfter, 0, to: &$0)
      }
      return true
    }
    let test = try TestNode(loop, origin: origin.server.url())
    let transfer = try test.open(package.manifest)
    #expect(refusals == 2)
    #expect(Self.complete(transfer, loop).errors.isEmpty)
    try test.close()
  }

  @Test func aTreeOfAnotherPackageIsRefused() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 3 * 65_536)
    let other = try SamplePackage(byteCount: 3 * 65_536, seed: 2)
    let origin = try FakeOrigin(loop, package)
    origin.intercept = { request, connection in
      guard request.path.hasPrefix("/-/tree/"), let tree = try? other.tree(request.query) else {
        return false
      }
      connection.respond(.ok, body: .bytes(tree))
      return true
    }
    let test = try TestNode(loop, origin: origin.server.url())
    let error = #expect(throws: PeerError.self) { _ = try test.open(package.manifest) }
    #expect(error?.isUnverified == true)
    try test.close()
  }

  /// What the origin lost between the manifest and the tree.
  @Test func aTreeThatIsGoneFailsTheOpening() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 3 * 65_536)
    let origin = try FakeOrigin(loop, package)
    origin.intercept = { request, connection in
      guard request.path.hasPrefix("/-/tree/") else { return false }
      connection.respondText(.notFound, "gone")
      return true
    }
    let test = try TestNode(loop, origin: origin.server.url())
    let error = #expect(throws: PeerError.self) { _ = try test.open(package.manifest) }
    #expect(error?.isUnverified == false)
    try test.close()
  }

  @Test func oneOpeningServesAllWhoWait() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 3 * 65_536)
    let origin = try FakeOrigin(loop, package)
    let test = try TestNode(loop, origin: origin.server.url())
    var transfers: [Transfer] = []
    for _ in 0..<3 {
      test.node.opening.open(package.manifest) { result in
        if case .success(let transfer) = result { transfers.append(transfer) }
      }
    }
    loop.run { transfers.count == 3 }
    #expect(transfers.allSatisfy { $0 === transfers[0] })
    #expect(origin.server.requests.count { $0.path.hasPrefix("/-/tree/") } == 1)
    _ = Self.complete(transfers[0], loop)
    try test.close()
  }

  /// Cutting one response off takes those behind it on its connection along, through no fault of
  /// their sender.
  @Test func whatWeCutOffBlamesNobody() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 8 * 65_536)
    let origin = try FakeOrigin(loop, package)
    origin.refer = { _, package in
      PackageReferral(package: package.digests.id, pieceCount: package.geometry.pieceCount)
    }
    let test = try TestNode(loop, origin: origin.server.url())
    let transfer = try test.open(package.manifest)
    loop.run { !origin.announces.isEmpty }
    let silent = try FakeServer(loop) { _, connection in
      OpenBody.start([], length: 8 * 65_536, on: connection)
    }
    let connection = ClientConnection(loop, to: silent.endpoint, host: "test")
    let peer = PeerID(high: 3, low: 3)
    let fetches = [0, 4].map { first in
      RunFetch(
        RequestID(UInt64(1_000 + first)), from: peer,
        PieceRun(first: PieceIndex(first), count: 4), on: connection, for: transfer)
    }
    for fetch in fetches {
      connection.send(.get, "/", silenceMax: .seconds(30), receiver: fetch)
    }
    loop.run { !silent.requests.isEmpty }
    fetches[1].cancel()
    loop.turn(waits: false)
    #expect(connection.isOpen, "the first is still wanted")
    fetches[0].cancel()
    connection.close()
    loop.run { !connection.isOpen }
    #expect(connection.outstandingCount == 0)
    try test.close()
  }

  /// A response that is read to its end after its transfer is over must find somebody to tell, and
  /// nobody may go on fetching or reporting.
  @Test func aTransferThatIsOverHearsNothing() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 2 * 65_536)
    let origin = try FakeOrigin(loop, package)
    var begun: [(range: ByteRange, connection: ServerConnection)] = []
    origin.intercept = { request, connection in
      guard request.path.hasPrefix("/-/package/"),
        let range = request.byteRange(of: package.bytes.count)
      else { return false }
      connection.startStreaming(.partialContent, length: range.count, source: OpenBody()) {
        HeadWriter.contentRange(range, of: package.bytes.count, to: &$0)
      }
      connection.append(Array(package.bytes[range.offset..<range.offset + 1_000]))
      begun.append((range, connection))
      return true
    }
    let test = try TestNode(loop, origin: origin.server.url())
    var announceCount = 0
    weak var weakTransfer: Transfer?
    do {
      let transfer = try test.open(package.manifest)
      weakTransfer = transfer
      loop.run { !begun.isEmpty }
      for _ in 0..<20 { loop.turn(waits: false) }
      announceCount = origin.announces.count
      transfer.discarded()
      #expect(test.node.transfers.isEmpty)
      transfer.feed(.ticked)
      transfer.feed(.started)
    }
    loop.run { origin.announces.count > announceCount }
    for _ in 0..<20 { loop.turn(waits: false) }
    for (range, connection) in begun {
      #expect(connection.isOpen)
      connection.append(Array(package.bytes[range.offset + 1_000..<range.end]))
      connection.endStreaming()
    }
    // The connection is free once the response has ended.
    loop.run { test.node.originConnection().outstandingCount == 0 }
    loop.run { weakTransfer == nil }
    #expect(origin.announces.count == announceCount + 1)
    let last = try #require(origin.announces.last?.reports.last)
    #expect(last.holdings == .whole(PieceSet(pieceCount: package.geometry.pieceCount)))
    try test.close()
  }
}
