import Content
import HTTP
import Posix
import Reactor
import Storage
import Testing
import Wire

@testable import Peer

@Suite struct GatewayTests {
  /// A node with a gateway, in front of an origin with one package.
  private final class Place {
    let loop: EventLoop
    let package: SamplePackage
    let origin: FakeOrigin
    let test: TestNode
    let gateway: Gateway
    let server: Server
    let endpoint: Endpoint

    init(byteCount: Int = 5 * 65_536 + 1) throws {
      loop = try EventLoop()
      package = try SamplePackage(byteCount: byteCount)
      origin = try FakeOrigin(loop, package)
      test = try TestNode(loop, origin: origin.server.url())
      gateway = Gateway(test.node)
      server = Server(loop, handler: gateway)
      endpoint = try server.listen(on: Endpoint(address: .loopback, port: 0))
    }

    func ask(_ target: String, range: String? = nil) throws -> WholeResponse.Message {
      try loop.ask(endpoint, target, range: range)
    }

    func close() throws {
      server.close()
      try test.close()
    }
  }

  @Test func servesTheOriginsFile() throws {
    let place = try Place()
    let first = try place.ask("/sample")
    #expect(first.status == .ok)
    #expect(first.body == place.package.bytes)
    let fetched = place.origin.contentRanges.reduce(0) { $0 + $1.count }
    #expect(fetched == place.package.bytes.count)
    #expect(try place.ask("/sample").body == place.package.bytes)
    #expect(place.origin.contentRanges.reduce(0) { $0 + $1.count } == fetched)
    try place.close()
  }

  @Test func servesRanges() throws {
    let place = try Place()
    let middle = try place.ask("/sample", range: "bytes=65530-131080")
    #expect(middle.status == .partialContent)
    #expect(middle.body == Array(place.package.bytes[65_530...131_080]))
    #expect(try place.ask("/sample", range: "bytes=-1").body == [place.package.bytes.last])
    let behind = try place.ask("/sample", range: "bytes=999999999-")
    #expect(behind.status == .rangeNotSatisfiable)
    let several = try place.ask("/sample", range: "bytes=0-1,70000-70001")
    #expect(several.status == .partialContent && several.body.count > 4)
    try place.close()
  }

  @Test func manyReadersAreServedByOneTransfer() throws {
    let place = try Place()
    let questions = (0..<6).map { _ in Question(place.loop, place.endpoint, "/sample") }
    place.loop.run { questions.allSatisfy { $0.result != nil } }
    for question in questions {
      #expect(try question.result?.get().body == place.package.bytes)
    }
    let fetched = place.origin.contentRanges.reduce(0) { $0 + $1.count }
    #expect(fetched == place.package.bytes.count)
    #expect(place.origin.server.requests.count { $0.path.hasPrefix("/-/manifest/") } <= 6)
    try place.close()
  }

  @Test(arguments: [
    ("/missing", 404), ("/", 404), ("/directory/", 404), ("/-/package/0", 404),
    ("/-/metrics", 404), ("/-/health", 200), ("/%2e%2e/secret", 400),
  ])
  func otherNamesAreRefused(target: String, status: UInt16) throws {
    let place = try Place()
    #expect(try place.ask(target).status.code == status)
    try place.close()
  }

  @Test func anOriginThatIsAwayIsABadGateway() throws {
    let place = try Place()
    place.origin.server.close()
    #expect(try place.ask("/sample").status == .badGateway)
    try place.close()
  }

  @Test func whatIsCachedOutlivesTheOrigin() throws {
    let place = try Place()
    #expect(try place.ask("/sample").status == .ok)
    place.origin.server.close()
    #expect(try place.ask("/sample").body == place.package.bytes)
    try place.close()
  }

  @Test func anOriginThatIsHashingIsWaitedFor() throws {
    let place = try Place()
    var refusals = 0
    place.origin.intercept = { request, connection in
      guard request.path.hasPrefix("/-/manifest/"), refusals < 2 else { return false }
      refusals += 1
      connection.respondText(.serviceUnavailable, "hashing") {
        HeadWriter.field(.retryAfter, 0, to: &$0)
      }
      return true
    }
    #expect(try place.ask("/sample").body == place.package.bytes)
    #expect(refusals == 2)
    try place.close()
  }

  @Test func aServerThatIsNotSpateIsABadGateway() throws {
    let place = try Place()
    place.origin.intercept = { request, connection in
      connection.respond(.ok, body: .bytes(Array("<html>".utf8)))
      return true
    }
    #expect(try place.ask("/sample").status == .badGateway)
    try place.close()
  }

  /// A client that goes away in the middle leaves the others alone.
  @Test func aReaderThatLeavesIsForgotten() throws {
    let place = try Place(byteCount: 40 * 65_536)
    let leaving = Question(place.loop, place.endpoint, "/sample")
    place.loop.run { !place.origin.contentRanges.isEmpty }
    leaving.connection.close()
    #expect(try place.ask("/sample").body == place.package.bytes)
    try place.close()
  }
}
