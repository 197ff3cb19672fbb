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

/// A node that holds a package and serves it.
@Suite struct PeerHandlerTests {
  private final class Place {
    let loop: EventLoop
    let package: SamplePackage
    let test: TestNode
    let endpoint: Endpoint
    let origin: FakeOrigin

    init(
      pieces: Range<Int>? = nil, uploadCountMax: Int = 8, uploadByteRate: Int? = nil
    ) throws {
      loop = try EventLoop()
      let package = try SamplePackage(byteCount: 4 * 65_536 + 5)
      self.package = package
      origin = try FakeOrigin(loop, package)
      test = try TestNode(
        loop, origin: origin.server.url(), uploadCountMax: uploadCountMax,
        uploadByteRate: uploadByteRate
      ) { store in
        let stored = try package.open(in: store)
        for piece in pieces ?? 0..<package.geometry.pieceCount {
          try package.piece(piece).withUnsafeBytes { try stored.write($0, at: piece * 65_536) }
          try stored.commit(PieceRun(PieceIndex(piece)))
        }
      }
      endpoint = try #require(test.node.listen().first)
      _ = try test.open(package.manifest, isOnDemand: true)
    }

    var target: String { "/-/package/\(package.digests.id)" }

    func ask(
      _ target: String, range: String? = nil, peer: PeerID? = nil
    ) throws -> WholeResponse.Message {
      try loop.ask(endpoint, target, range: range, peer: peer)
    }

    func close() throws {
      test.node.server?.close()
      try test.close()
    }
  }

  @Test func heldPiecesAreServed() throws {
    let place = try Place(pieces: 1..<3)
    let held = try place.ask(place.target, range: "bytes=65536-196607")
    #expect(held.status == .partialContent)
    #expect(held.body == Array(place.package.bytes[65_536..<196_608]))
    for range in ["bytes=0-1", "bytes=196607-196608", "bytes=-5"] {
      #expect(try place.ask(place.target, range: range).status == .notFound)
    }
    #expect(try place.ask(place.target).status == .notFound)
    let behind = try place.ask(place.target, range: "bytes=999999-")
    #expect(behind.status == .notFound || behind.status == .rangeNotSatisfiable)
    try place.close()
  }

  @Test func uploadsGiveTheirSlotBack() throws {
    let place = try Place(uploadCountMax: 1)
    for _ in 0..<3 {
      #expect(try place.ask(place.target).body == place.package.bytes)
      place.loop.run { place.test.node.uploads.load.active == 0 }
    }
    #expect(place.test.node.counters.sentContentBytes.value == 3 * place.package.bytes.count)
    #expect(place.test.node.counters.uploads.value == 0)
    try place.close()
  }

  @Test func aPeerAboveItsLimitIsBusy() throws {
    let place = try Place(uploadCountMax: 1)
    let other = PeerID(high: 1, low: 1)
    #expect(place.test.node.uploads.admit(peer: other, now: place.loop.now) == .granted)
    for range in [nil, "bytes=0-9", "bytes=0-9,20-29"] {
      let refused = try place.ask(place.target, range: range, peer: PeerID(high: 2, low: 2))
      #expect(refused.status == .serviceUnavailable)
      #expect(refused.retryAfter != nil)
    }
    #expect(place.test.node.counters.busyRefusals.value == 3)
    try place.close()
  }

  @Test func severalRangesAreTheWhole() throws {
    let place = try Place()
    let response = try place.ask(place.target, range: "bytes=0-9,20-29")
    #expect(response.status == .ok)
    #expect(response.body == place.package.bytes)
    try place.close()
  }

  @Test func pacedUploadsAreComplete() throws {
    let place = try Place(uploadByteRate: 50_000_000)
    #expect(try place.ask(place.target).body == place.package.bytes)
    let part = try place.ask(place.target, range: "bytes=100-70000")
    #expect(part.status == .partialContent)
    #expect(part.body == Array(place.package.bytes[100...70_000]))
    place.loop.run { place.test.node.uploads.load.active == 0 }
    try place.close()
  }

  /// The slot comes back when the client goes away in the middle.
  @Test func anAbandonedPacedUploadGivesItsSlotBack() throws {
    let place = try Place(uploadCountMax: 1, uploadByteRate: 1_000)
    let question = Question(place.loop, place.endpoint, place.target)
    place.loop.run { place.test.node.uploads.load.active == 1 }
    question.connection.close()
    place.loop.run { place.test.node.uploads.load.active == 0 }
    #expect(place.test.node.counters.uploads.value == 0)
    try place.close()
  }

  /// Its response goes on when it takes bytes again.
  @Test func aClientThatStandsStillLendsItsSlot() throws {
    let place = try Place(uploadCountMax: 1)
    let node = place.test.node
    let still = Question(place.loop, place.endpoint, place.target)
    still.connection.pauseReading()
    place.loop.run { node.runningUploads.values.contains { $0.connection?.isBlocked ?? false } }
    let other = PeerID(high: 2, low: 2)
    #expect(
      try place.ask(place.target, range: "bytes=0-9", peer: other).status == .serviceUnavailable)
    while node.uploads.load.active > 0 { node.lendStillSlots() }
    #expect(node.counters.uploads.value == 0)
    #expect(try place.ask(place.target, range: "bytes=0-9", peer: other).status == .partialContent)
    still.connection.resumeReading()
    place.loop.run { still.result != nil }
    #expect(try #require(still.result).get().body == place.package.bytes)
    place.loop.run { node.runningUploads.isEmpty }
    #expect(node.uploads.load.active == 0)
    #expect(node.counters.uploads.value == 0)
    try place.close()
  }

  @Test func theTreeIsServed() throws {
    let place = try Place(pieces: 0..<1)
    let geometry = place.package.geometry
    let layer = try #require(TreeSlice(shape: geometry.tree, wholeLayer: geometry.pieceLayer))
    let leaves = try #require(TreeSlice(shape: geometry.tree, layer: 0, first: 0, width: 4))
    for slice in [layer, leaves] {
      let query = TreeQuery(slice).text
      let response = try place.ask("/-/tree/\(place.package.digests.id)?\(query)")
      #expect(response.status == .ok)
      let message = try TreeMessage.decode(response.body.span, for: slice)
      #expect(
        TreeHash.verify(
          slice: slice, nodes: message.nodes, proof: message.proof,
          root: place.package.digests.id.root))
    }
    let lost = try place.ask(
      "/-/tree/\(place.package.digests.id)?layer=0&first=4&width=4")
    #expect(lost.status == .notFound)
    for query in ["", "?layer=0", "?layer=-1&first=0&width=1", "?layer=99&first=0&width=1"] {
      let refused = try place.ask("/-/tree/\(place.package.digests.id)\(query)")
      #expect(refused.status == .badRequest)
    }
    try place.close()
  }

  @Test func followersAreToldWhatIsHeld() throws {
    let place = try Place(pieces: 1..<3)
    let question = Question(place.loop, place.endpoint, "/-/have/\(place.package.digests.id)")
    let transfer = try #require(place.test.node.transfers[place.package.digests.id])
    place.loop.run { transfer.haveFeed.followerCount == 1 }
    transfer.haveFeed.end()
    place.loop.run { question.result != nil }
    var decoder = HaveDecoder(pieceCount: place.package.geometry.pieceCount)
    var frames: [HaveFrame] = []
    let body = try #require(question.result).get().body
    try decoder.decode(body.span, into: &frames)
    var held = PieceSet(pieceCount: place.package.geometry.pieceCount)
    held.insert(PieceRun(first: PieceIndex(1), count: 2))
    #expect(frames == [.bitmap(held)])
    #expect(transfer.haveFeed.followerCount == 0)
    try place.close()
  }

  /// More than are told in one turn.
  @Test func newsReachEveryFollowerInOrder() throws {
    let place = try Place(pieces: 1..<3)
    let id = place.package.digests.id
    let followerCount = 2 * NewsFeed.toldPerTurnCountMax + 1
    let questions = (0..<followerCount).map { _ in
      Question(place.loop, place.endpoint, "/-/have/\(id)")
    }
    let feed = try #require(place.test.node.transfers[id]).haveFeed
    place.loop.run { feed.followerCount == followerCount }
    let runs = [0, 3, 4].map { PieceRun(PieceIndex($0)) }
    feed.gained(runs[1])
    feed.promised([runs[2]])
    feed.gained(runs[0])
    feed.evicted([runs[1]])
    feed.gained(runs[2])
    place.loop.run { feed.isUpToDate }
    feed.end()
    place.loop.run { questions.allSatisfy { $0.result != nil } }
    var held = PieceSet(pieceCount: place.package.geometry.pieceCount)
    held.insert(PieceRun(first: PieceIndex(1), count: 2))
    for question in questions {
      var decoder = HaveDecoder(pieceCount: place.package.geometry.pieceCount)
      var frames: [HaveFrame] = []
      let body = try #require(question.result).get().body
      try decoder.decode(body.span, into: &frames)
      #expect(
        frames == [
          .bitmap(held), .promised([runs[2]], within: HaveFeed.promiseTerm),
          .gained([runs[0], runs[1]]), .evicted([runs[1]]), .gained([runs[2]]),
        ])
    }
    try place.close()
  }

  /// The head alone of a stream without an end must not hold the connection.
  @Test func theHeadOfAStreamIsAnswered() throws {
    let place = try Place()
    let connection = ClientConnection(place.loop, to: place.endpoint, host: "test")
    var statuses: [UInt16] = []
    let target = "/-/have/\(place.package.digests.id)"
    for (method, target) in [(Wire.Method.head, target), (.get, "/-/health")] {
      let receiver = WholeResponse(byteCountMax: 1_000) { result in
        if case .success(let message) = result { statuses.append(message.status.code) }
      }
      connection.send(method, target, silenceMax: .seconds(30), receiver: receiver)
    }
    place.loop.run { statuses.count == 2 || !connection.isOpen }
    #expect(statuses == [200, 200])
    try place.close()
  }

  @Test(arguments: [
    ("/", 404), ("/file", 404), ("/-/health", 200), ("/-/metrics", 200), ("/-/status", 200),
    ("/-/package/1234", 400), ("/-/package/\(String(repeating: "a", count: 64))", 404),
    ("/-/package/a/b", 404), ("/-/manifest/sample", 404), ("/-", 404), ("/-/", 404),
  ])
  func otherPathsAreAnswered(target: String, status: Int) throws {
    let place = try Place()
    #expect(try place.ask(target).status.code == UInt16(status))
    try place.close()
  }
}
