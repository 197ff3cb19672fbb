import Content
import Digests
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Wire

@testable import Peer

@Suite struct PlainDownloadTests {
  private static let file = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

  /// A server that is not Spate, and a node to download from it with.
  private final class Place {
    let loop: EventLoop
    let server: FakeServer
    let test: TestNode
    let directory: ScratchDirectory

    init(_ answer: @escaping FakeServer.Answer) throws {
      loop = try EventLoop()
      server = try FakeServer(loop, answer)
      test = try TestNode(loop, origin: server.url())
      directory = try ScratchDirectory()
    }

    func download(_ path: String = "/file") throws -> Result<PlainPart, PeerError> {
      let download = PlainDownload(
        try server.url(path), directory: directory.path + "/work", authorities: nil,
        bar: ProgressBar(on: .error), on: test.node)
      var results: [Result<PlainPart, PeerError>] = []
      download.start { results.append($0) }
      loop.run { !results.isEmpty }
      // Whatever still comes must not end it twice.
      loop.turn(waits: false)
      #expect(results.count == 1)
      return results[0]
    }

    func expectFile(_ result: Result<PlainPart, PeerError>) throws {
      let part = try result.get()
      try part.publish(as: directory.path + "/file")
      #expect(try directory.read("file") == PlainDownloadTests.file)
      let status = try FileSystem.status(of: directory.path + "/file")
      #expect(status.permissions == 0o644)
      var hasher = SHA256Stream()
      PlainDownloadTests.file.withUnsafeBytes { hasher.update($0) }
      #expect(part.sha256 == hasher.finish())
    }

    func leavePart(_ byteCount: Int, validator: String) throws {
      let work = directory.path + "/work"
      try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
      try Data(PlainDownloadTests.file[..<byteCount])
        .write(to: URL(fileURLWithPath: work + "/plain"))
      try Data(validator.utf8).write(to: URL(fileURLWithPath: work + "/plain.validator"))
    }
  }

  private static func redirect(_ connection: ServerConnection, to location: String) {
    connection.respond(.found) { HeadWriter.field(.location, location, to: &$0) }
  }

  @Test func theWholeFileArrives() throws {
    let place = try Place { $1.send(Self.file, for: $0) }
    try place.expectFile(place.download())
    #expect(place.server.requests.allSatisfy { $0.range == nil })
    try place.test.close()
  }

  @Test func anEmptyFileIsAFile() throws {
    let place = try Place { $1.send([], for: $0) }
    #expect(try place.download().get().byteCount == 0)
    try place.test.close()
  }

  @Test func redirectsAreFollowed() throws {
    let place = try Place { request, connection in
      switch request.path {
      case "/file": Self.redirect(connection, to: "/second")
      case "/second": connection.send(Self.file, for: request)
      default: connection.respondText(.notFound, "nothing is here")
      }
    }
    try place.expectFile(place.download())
    try place.test.close()
  }

  @Test func redirectsEnd() throws {
    let place = try Place { Self.redirect($1, to: $0.path + "x") }
    #expect(throws: PeerError.self) { _ = try place.download().get() }
    #expect(place.server.requests.count == 11)
    try place.test.close()
  }

  @Test(arguments: ["ftp://localhost/file", "relative", "http://", "//localhost:1/"])
  func redirectsToElsewhereFail(location: String) throws {
    let place = try Place { Self.redirect($1, to: location) }
    #expect(throws: PeerError.self) { _ = try place.download().get() }
    try place.test.close()
  }

  @Test func aShortResponseIsGoneOnWith() throws {
    var cuts = 0
    let place = try Place { request, connection in
      guard cuts == 0 else { return connection.send(Self.file, for: request) }
      cuts += 1
      CutBody.start(Array(Self.file[..<100_000]), length: Self.file.count, on: connection) {
        HeadWriter.field(.etag, "\"one\"", to: &$0)
      }
    }
    #expect(throws: PeerError.self) { _ = try place.download().get() }
    try place.expectFile(place.download())
    let last = try #require(place.server.requests.last)
    #expect(last.range == "bytes=100000-")
    #expect(last.ifRange == "\"one\"")
    try place.test.close()
  }

  @Test func anotherVersionStartsAnew() throws {
    let place = try Place { request, connection in
      connection.respond(.ok, body: .bytes(Self.file)) {
        HeadWriter.field(.etag, "\"two\"", to: &$0)
      }
    }
    try place.leavePart(1_000, validator: "\"one\"")
    try place.expectFile(place.download())
    try place.test.close()
  }

  @Test func aPartWithoutAValidatorIsNotTrusted() throws {
    let place = try Place { $1.send(Self.file, for: $0) }
    try place.leavePart(1_000, validator: "")
    try place.expectFile(place.download())
    #expect(place.server.requests.first?.range == nil)
    try place.test.close()
  }

  @Test func aPartThatIsWholeIsTheFile() throws {
    let place = try Place { request, connection in
      connection.respond(.rangeNotSatisfiable) {
        HeadWriter.contentRange(nil, of: Self.file.count, to: &$0)
      }
    }
    try place.leavePart(Self.file.count, validator: "\"one\"")
    try place.expectFile(place.download())
    #expect(place.server.requests.count == 1)
    try place.test.close()
  }

  @Test func aPartThatIsTooLongIsThrownAway() throws {
    let place = try Place { request, connection in
      guard request.range != nil else { return connection.send(Self.file, for: request) }
      connection.respond(.rangeNotSatisfiable) { HeadWriter.contentRange(nil, of: 10, to: &$0) }
    }
    try place.leavePart(1_000, validator: "\"one\"")
    try place.expectFile(place.download())
    try place.test.close()
  }

  @Test func aServerThatRefusesEveryRangeIsNotAskedForEver() throws {
    let place = try Place { $1.respond(.rangeNotSatisfiable) }
    #expect(throws: PeerError.self) { _ = try place.download().get() }
    #expect(place.server.requests.count == 1)
    try place.test.close()
  }

  /// Content-Range, and how many bytes follow.
  @Test(arguments: [
    ("bytes 0-9/300000", 10), ("bytes 1001-1010/300000", 10), ("bytes 1000-1009/*", 10),
    ("bytes 1000-1009/300000", 20), ("bytes 1000-1009/1010", 20), ("bytes */300000", 0),
    ("lines 1-2/3", 1),
  ])
  func wrongRangesAreRefused(contentRange: String, byteCount: Int) throws {
    let place = try Place { request, connection in
      connection.respond(.partialContent, body: .bytes(Array(repeating: 0, count: byteCount))) {
        HeadWriter.field(.contentRange, contentRange, to: &$0)
      }
    }
    try place.leavePart(1_000, validator: "\"one\"")
    #expect(throws: PeerError.self) { _ = try place.download().get() }
    try place.test.close()
  }

  @Test(arguments: [Status.notFound, .forbidden, .internalServerError])
  func otherStatusesFail(status: Status) throws {
    let place = try Place { $1.respondText(status, "no") }
    #expect(throws: PeerError.self) { _ = try place.download().get() }
    try place.test.close()
  }

  @Test func whatIsDiscardedIsGone() throws {
    let directory = try ScratchDirectory()
    let part = try PlainPart(directory: directory.path + "/a/b")
    try part.restart(validator: "\"one\"")
    try [1, 2, 3].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) throws in
      try part.append(bytes)
    }
    try part.discard(removingDirectory: true)
    #expect(!FileManager.default.fileExists(atPath: directory.path + "/a/b"))
  }
}
