import Content
import Digests
import HTTP
import Reactor
import Storage
import Swarm
import Testing
import Wire

@testable import Peer

/// News that go with requests and responses instead of in a have-stream.
@Suite struct NewsTests {
  /// Keeps what a response says the server has besides.
  private final class Listener: ResponseReceiver {
    let geometry: Geometry
    private(set) var status: Status?
    private(set) var heard: HaveField?
    private(set) var isOver = false

    init(_ geometry: Geometry) { self.geometry = geometry }

    func responseBegan(
      _ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection
    ) {
      status = head.status
      guard let range = head.range(of: .spateHave) else { return }
      do throws(WireError) {
        heard = try HaveField(bytes, range, pieceCount: geometry.pieceCount)
      } catch {
        Issue.record("\(error)")
      }
    }

    func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {}
    func responseEnded(on connection: ClientConnection) { isOver = true }
    func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) {
      isOver = true
    }
  }

  /// A node that holds all but the last piece of a package.
  private final class Place {
    let loop: EventLoop
    let package: SamplePackage
    let test: TestNode
    let endpoint: Endpoint
    let transfer: Transfer

    init() throws {
      loop = try EventLoop()
      let package = try SamplePackage(byteCount: 5 * 65_536)
      self.package = package
      let origin = try FakeOrigin(loop, package)
      test = try TestNode(loop, origin: origin.server.url()) { store in
        let stored = try package.open(in: store)
        for piece in 0..<4 {
          try package.piece(piece).withUnsafeBytes { try stored.write($0, at: piece * 65_536) }
          try stored.commit(PieceRun(PieceIndex(piece)))
        }
      }
      endpoint = try #require(test.node.listen().first)
      transfer = try test.open(package.manifest, isOnDemand: true)
    }

    func ask(for piece: Int, as peer: PeerID, have: String? = nil) -> Listener {
      let listener = Listener(package.geometry)
      let connection = ClientConnection(loop, to: endpoint, host: "\(endpoint)")
      connection.send(
        .get, "/-/package/\(package.digests.id)", silenceMax: .seconds(30), receiver: listener
      ) { head in
        let range = self.package.geometry.byteRange(of: PieceIndex(piece))
        HeadWriter.range(range, to: &head)
        HeadWriter.field(.spatePeer, "\(peer)", to: &head)
        if let have { HeadWriter.field(.spateHave, have, to: &head) }
      }
      loop.run { listener.isOver }
      connection.close()
      return listener
    }

    func close() throws {
      test.node.server?.close()
      try test.close()
    }
  }

  @Test func aFollowerThatIsSentAPieceHearsTheNewsWithIt() throws {
    let place = try Place()
    let follower = PeerID(high: 3, low: 4)
    let stream = Question(
      place.loop, place.endpoint, "/-/have/\(place.package.digests.id)", peer: follower)
    let feed = place.transfer.haveFeed
    place.loop.run { feed.followerCount == 1 }
    // The first goes into the stream at once, and the second would wait for the next turn.
    feed.turnInterval = .seconds(3_600)
    feed.gained(PieceRun(PieceIndex(2)))
    place.loop.run { feed.isUpToDate }
    feed.turnInterval = .seconds(3_600)
    feed.gained(PieceRun(PieceIndex(4)))
    let stranger = place.ask(for: 0, as: PeerID(high: 9, low: 9))
    #expect(stranger.status == .partialContent)
    #expect(stranger.heard == nil)
    let answer = place.ask(for: 0, as: follower)
    #expect(answer.status == .partialContent)
    #expect(answer.heard == HaveField(gained: [PieceRun(PieceIndex(4))], promised: []))
    #expect(place.ask(for: 0, as: follower).heard == nil)
    stream.connection.close()
    try place.close()
  }

  @Test func newsThatMakeNoSenseAreRefused() throws {
    let place = try Place()
    let peer = PeerID(high: 3, low: 4)
    for have in ["5", "1-", "x", "3-2", "1;9", "99999999999999999999"] {
      #expect(place.ask(for: 0, as: peer, have: have).status == .badRequest, "\(have)")
    }
    // Of one that is not followed nothing is known that it could add to.
    #expect(place.ask(for: 0, as: peer, have: "0-3;4").status == .partialContent)
    try place.close()
  }

  /// In its stream the source has but one piece.
  @Test func whatComesWithAResponseIsAskedFor() throws {
    let loop = try EventLoop()
    let package = try SamplePackage(byteCount: 6 * 65_536)
    let origin = try FakeOrigin(loop, package)
    var first = PieceSet(pieceCount: package.geometry.pieceCount)
    first.insert(PieceIndex(0))
    let peer = try FakeServer(loop) { request, connection in
      guard let range = request.byteRange(of: package.bytes.count) else {
        return OpenBody.start(
          HaveFrame.preamble + HaveFrame.bitmap(first).encode(), on: connection)
      }
      connection.respond(
        .partialContent, body: .bytes(Array(package.bytes[range.offset..<range.end]))
      ) {
        HeadWriter.contentRange(range, of: package.bytes.count, to: &$0)
        HaveField(gained: [PieceRun(first: PieceIndex(1), count: 5)], promised: []).append(to: &$0)
      }
    }
    origin.refer = { _, package in
      var referral = PackageReferral(
        package: package.digests.id, pieceCount: package.geometry.pieceCount)
      referral.sources = [
        Source(
          peer: PeerID(high: 7, low: 7), endpoint: peer.endpoint, heldPieceCount: 1,
          uploads: UploadLoad(active: 0, limit: 8, byteRate: 0), isNear: true)
      ]
      return referral
    }
    let test = try TestNode(loop, origin: origin.server.url())
    let transfer = try test.open(package.manifest)
    loop.run { transfer.outcome != .ongoing }
    #expect(transfer.outcome == .complete)
    // Nobody else was asked for any of it.
    #expect(origin.contentRanges.isEmpty)
    try test.close()
  }
}
