import Content
import Digests
import HTTP
import Operations
import Reactor
import Swarm
import Testing
import Wire

@testable import Peer

/// A node passes on blocks of a piece that it is still receiving.
@Suite struct ArrivingTests {
  private static let pieceByteCount = 1 << 20
  private static let chunk = 256 << 10

  /// Feeds the responses of an origin by hand, and has a node download from it.
  fileprivate final class Place {
    let loop: EventLoop
    let package: SamplePackage
    let origin: FakeOrigin
    let test: TestNode
    let endpoint: Endpoint
    let transfer: Transfer
    private let source: HeldSource

    init(uploadCountMax: Int = 8, uploadByteRate: Int? = nil, hasHashes: Bool = true) throws {
      loop = try EventLoop()
      package = try SamplePackage(
        byteCount: 3 * pieceByteCount - 5_000, pieceByteCount: pieceByteCount)
      origin = try FakeOrigin(loop, package)
      let source = HeldSource(package)
      self.source = source
      origin.intercept = { request, connection in
        if !hasHashes, request.query.hasPrefix("layer=0") {
          connection.respondText(.notFound, "not here")
          return true
        }
        return source.answers(request, connection)
      }
      test = try TestNode(
        loop, origin: origin.server.url(), uploadCountMax: uploadCountMax,
        uploadByteRate: uploadByteRate)
      endpoint = try #require(test.node.listen().first)
      transfer = try test.open(package.manifest)
      loop.run { source.isAsked }
    }

    var node: Node { test.node }
    var target: String { "/-/package/\(package.digests.id)?arriving" }

    /// Lets the origin send up to this byte of the package.
    func send(upTo end: Int, flipping place: Int? = nil) { source.send(upTo: end, flipping: place) }
    func cutOff() { source.cutOff() }
    /// From now on the origin answers as it should.
    func release() { source.isHolding = false }

    func ask(_ range: Range<Int>, peer: UInt64 = 7) -> Question {
      Question(
        loop, endpoint, target, range: "bytes=\(range.lowerBound)-\(range.upperBound - 1)",
        peer: PeerID(high: peer, low: 1))
    }

    /// The piece is under receipt: its first bytes are here.
    func begin(_ byteCount: Int = chunk) {
      send(upTo: byteCount)
      loop.run { transfer.arrivals.piece(of: ByteRange(offset: 0, count: 1)!) != nil }
    }

    /// The same, and what is here of it was passed on to who asked for all of it.
    func beginFollowed() -> Question {
      begin()
      let question = ask(0..<pieceByteCount)
      loop.run { self.passedOn == chunk }
      return question
    }

    /// Somebody who is sent something does not take it now.
    var isBlocked: Bool {
      node.runningUploads.values.contains { $0.connection?.isBlocked ?? false }
    }

    var passedOn: Int { node.counters.passedOnBytes.value }

    func close() throws {
      node.server?.close()
      try test.close()
    }
  }

  /// The first response with content, given out as the test says; later ones wait for `isHolding`.
  private final class HeldSource: BodySource {
    private let package: SamplePackage
    private var connection: ServerConnection?
    private var range = ByteRange(offset: 0, count: 1)!
    private var position = 0
    var isHolding = true

    init(_ package: SamplePackage) { self.package = package }

    var isAsked: Bool { connection != nil }

    func answers(_ request: FakeRequest, _ connection: ServerConnection) -> Bool {
      guard isHolding, self.connection == nil,
        request.path == "/-/package/\(package.digests.id)",
        let range = request.byteRange(of: package.bytes.count)
      else { return false }
      (self.connection, self.range, position) = (connection, range, range.offset)
      connection.startStreaming(.partialContent, length: range.count, source: self) {
        HeadWriter.contentRange(range, of: self.package.bytes.count, to: &$0)
      }
      return true
    }

    func send(upTo end: Int, flipping place: Int?) {
      var bytes = Array(package.bytes[position..<min(end, range.end)])
      if let place { bytes[place - position] ^= 1 }
      position += bytes.count
      connection?.append(bytes)
      if position == range.end { connection?.endStreaming() }
    }

    func cutOff() { connection?.close() }

    func bodyDrained(on connection: ServerConnection) {}
    func bodyClosed(on connection: ServerConnection) {}
  }

  @Test func blocksLeaveAsTheyAreVerified() throws {
    let place = try Place()
    let question = place.beginFollowed()
    #expect(question.result == nil)
    #expect(place.node.uploads.load.active == 1)
    place.send(upTo: 3 * Self.chunk)
    place.loop.run { place.passedOn == 3 * Self.chunk }
    #expect(place.transfer.held.isEmpty)
    place.send(upTo: .max)
    place.loop.run { question.result != nil }
    let message = try #require(question.result).get()
    #expect(message.status == .partialContent)
    #expect(message.body == place.package.piece(0))
    place.loop.run { place.transfer.outcome == .complete }
    place.loop.run { place.node.uploads.load.active == 0 }
    #expect(place.node.counters.uploads.value == 0)
    #expect(place.node.counters.sentContentBytes.value == Self.pieceByteCount)
    try place.close()
  }

  @Test func aBadBlockIsNeverPassedOnAndIsKnownAtOnce() throws {
    let place = try Place()
    let question = place.beginFollowed()
    place.send(upTo: 2 * Self.chunk, flipping: Self.chunk + 70_000)
    place.loop.run { question.result != nil }
    // In the middle, since nothing of the bad chunk can be told from it.
    #expect(throws: RequestFailure.self) { try place.result(of: question) }
    #expect(place.passedOn == Self.chunk)
    #expect(place.node.counters.rejectedPieces.value == 1)
    #expect(place.transfer.held.isEmpty)
    place.release()
    place.loop.run { place.transfer.outcome == .complete }
    try place.close()
  }

  /// The hashes come after bytes that were wrong already.
  @Test func whatCameBeforeTheHashesIsCheckedToo() throws {
    let place = try Place()
    place.send(upTo: 2 * Self.chunk, flipping: 3)
    place.begin(2 * Self.chunk)
    let question = place.ask(Self.chunk..<Self.pieceByteCount)
    place.loop.run { question.result != nil }
    #expect(throws: RequestFailure.self) { try place.result(of: question) }
    #expect(place.passedOn == 0)
    #expect(place.node.counters.rejectedPieces.value == 1)
    place.release()
    place.loop.run { place.transfer.outcome == .complete }
    try place.close()
  }

  @Test func aSourceThatDiesEndsTheResponse() throws {
    let place = try Place()
    let question = place.beginFollowed()
    place.release()
    place.cutOff()
    place.loop.run { question.result != nil }
    #expect(throws: RequestFailure.self) { try place.result(of: question) }
    place.loop.run { place.node.uploads.load.active == 0 }
    place.loop.run { place.transfer.outcome == .complete }
    #expect(place.passedOn == Self.chunk)
    try place.close()
  }

  @Test func anAskerThatLeavesGivesItsSlotBack() throws {
    let place = try Place()
    let question = place.beginFollowed()
    question.connection.close()
    place.loop.run { place.node.uploads.load.active == 0 }
    place.send(upTo: .max)
    place.loop.run { place.transfer.outcome == .complete }
    #expect(place.passedOn == Self.chunk)
    try place.close()
  }

  @Test func severalAskersGetTheirRanges() throws {
    let place = try Place()
    place.begin(Self.chunk)
    let ranges = [0..<Self.pieceByteCount, 70_001..<900_003, 16_384..<16_385, 600_000..<600_001]
    let questions = ranges.enumerated().map { place.ask($1, peer: UInt64($0 + 1)) }
    // The third is in what has come already.
    place.loop.run { questions[2].result != nil }
    #expect(questions[3].result == nil)
    place.send(upTo: .max)
    place.loop.run { questions.allSatisfy { $0.result != nil } }
    for (range, question) in zip(ranges, questions) {
      #expect(try place.result(of: question).body == Array(place.package.bytes[range]))
    }
    place.loop.run { place.transfer.outcome == .complete }
    try place.close()
  }

  @Test func pacedBytesAreAllThere() throws {
    let place = try Place(uploadByteRate: 50_000_000)
    place.begin(Self.chunk)
    let question = place.ask(5..<Self.pieceByteCount)
    place.send(upTo: .max)
    place.loop.run { question.result != nil }
    #expect(
      try place.result(of: question).body == Array(place.package.bytes[5..<Self.pieceByteCount]))
    try place.close()
  }

  @Test func whoDoesNotAskForItAndWhatIsNotBegunGetNothing() throws {
    let place = try Place()
    place.begin(Self.chunk)
    let plain = "/-/package/\(place.package.digests.id)"
    #expect(try place.loop.ask(place.endpoint, plain, range: "bytes=0-9").status == .notFound)
    for range in ["bytes=1048570-1048580", "bytes=2000000-2000001", "bytes=0-2000000"] {
      #expect(try place.loop.ask(place.endpoint, place.target, range: range).status == .notFound)
    }
    #expect(try place.loop.ask(place.endpoint, place.target).status == .notFound)
    #expect(place.passedOn == 0)
    place.send(upTo: .max)
    place.loop.run { place.transfer.outcome == .complete }
    // What is held is served as ever.
    let held = try place.loop.ask(place.endpoint, place.target, range: "bytes=0-9")
    #expect(held.body == Array(place.package.bytes[0..<10]))
    #expect(place.passedOn == 0)
    try place.close()
  }

  @Test func waitingUploadsCountAgainstTheLimit() throws {
    let place = try Place(uploadCountMax: 1)
    place.begin(Self.chunk)
    let first = place.ask(0..<Self.pieceByteCount)
    place.loop.run { place.passedOn == Self.chunk }
    let second = place.ask(0..<Self.pieceByteCount, peer: 8)
    place.loop.run { second.result != nil }
    #expect(try place.result(of: second).status == .serviceUnavailable)
    place.send(upTo: .max)
    place.loop.run { first.result != nil }
    #expect(try place.result(of: first).body == place.package.piece(0))
    try place.close()
  }

  @Test func aClientThatStandsStillLendsItsSlot() throws {
    let place = try Place(uploadCountMax: 1)
    place.begin()
    let still = place.ask(0..<Self.pieceByteCount)
    still.connection.pauseReading()
    place.loop.run { place.isBlocked }
    while place.node.uploads.load.active > 0 { place.node.lendStillSlots() }
    #expect(place.node.counters.uploads.value == 0)
    place.send(upTo: .max)
    let other = place.ask(0..<Self.pieceByteCount, peer: 8)
    place.loop.run { other.result != nil }
    #expect(try place.result(of: other).body == place.package.piece(0))
    still.connection.resumeReading()
    place.loop.run { still.result != nil }
    #expect(try place.result(of: still).body == place.package.piece(0))
    place.loop.run { place.node.runningUploads.isEmpty }
    #expect(place.node.uploads.load.active == 0)
    try place.close()
  }

  /// It takes all there is.
  @Test func aClientThatWaitsForOurReceiptKeepsItsSlot() throws {
    let place = try Place(uploadCountMax: 1)
    let question = place.beginFollowed()
    place.loop.run { !place.isBlocked }
    for _ in 0..<8 { place.node.lendStillSlots() }
    #expect(place.node.uploads.load.active == 1)
    place.send(upTo: .max)
    place.loop.run { question.result != nil }
    #expect(try place.result(of: question).body == place.package.piece(0))
    try place.close()
  }

  @Test func withoutHashesNothingLeaves() throws {
    let place = try Place(hasHashes: false)
    place.begin(Self.chunk)
    let question = place.ask(0..<Self.pieceByteCount)
    place.loop.run { question.result != nil }
    #expect(throws: RequestFailure.self) { try place.result(of: question) }
    #expect(place.passedOn == 0)
    let again = place.ask(0..<Self.pieceByteCount)
    place.loop.run { again.result != nil }
    #expect(try place.result(of: again).status == .notFound)
    place.send(upTo: .max)
    place.loop.run { place.transfer.outcome == .complete }
    try place.close()
  }

  /// Whoever gets blocks wants to be able to pass them on in turn.
  @Test func theHashesOfAPieceUnderReceiptAreToldOn() throws {
    let place = try Place()
    let question = place.beginFollowed()
    let geometry = place.package.geometry
    let slice = try #require(
      TreeSlice(shape: geometry.tree, layer: 0, first: 0, width: geometry.blocksPerPiece))
    let tree = "/-/tree/\(place.package.digests.id)?\(TreeQuery(slice).text)"
    let answer = try place.loop.ask(place.endpoint, tree)
    #expect(answer.status == .ok)
    let message = try TreeMessage.decode(answer.body.span, for: slice)
    #expect(
      TreeHash.verify(
        slice: slice, nodes: message.nodes, proof: message.proof,
        root: place.package.digests.id.root))
    place.send(upTo: .max)
    place.loop.run { question.result != nil }
    try place.close()
  }

  /// Two nodes and their own decisions: the second has the lease-holder's blocks before that has the
  /// piece.
  @Test func aFollowerIsSentWhatTheOriginStillSends() throws {
    let place = try Place()
    place.begin(Self.chunk)
    let holder = place.node
    let package = place.package
    place.origin.refer = { announce, package in
      guard announce.peer != holder.id else {
        return PackageReferral(
          package: package.digests.id, pieceCount: package.geometry.pieceCount)
      }
      let load = UploadLoad(active: 0, limit: 8, byteRate: 0)
      return PackageReferral(
        package: package.digests.id, pieceCount: package.geometry.pieceCount,
        sources: [
          Source(
            peer: holder.id, endpoint: place.endpoint, heldPieceCount: 0, uploads: load,
            isNear: true)
        ])
    }
    let second = try TestNode(place.loop, origin: place.origin.server.url())
    let transfer = try second.open(package.manifest)
    place.loop.run { place.passedOn == Self.chunk }
    #expect(place.transfer.held.isEmpty)
    place.send(upTo: .max)
    place.loop.run { transfer.outcome == .complete }
    #expect(place.passedOn >= Self.pieceByteCount)
    #expect(transfer.tally.fromPeersByteCount == package.bytes.count)
    #expect(transfer.tally.rejectedPieceCount == 0)
    try second.close()
    try place.close()
  }
}

extension ArrivingTests.Place {
  fileprivate func result(of question: Question) throws -> WholeResponse.Message {
    try #require(question.result).get()
  }
}
