import Content
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Wire

@testable import Peer

@Suite struct OutputNameTests {
  private static func name(_ url: String, _ output: String?) throws -> OutputName {
    var configuration = GetConfiguration(url: try HTTPURL(parsing: url), listen: [])
    configuration.output = output
    return try OutputName(configuration)
  }

  @Test func theURLNamesTheFile() throws {
    let name = try Self.name("http://h/a/some%20file.iso?x=1", nil)
    #expect(name.path == "some file.iso")
    #expect(name.workDirectory == ".some file.iso.spate")
  }

  @Test func directoriesKeepTheName() throws {
    let directory = try ScratchDirectory()
    for output in [directory.path, directory.path + "/"] {
      let name = try Self.name("http://h/file", output)
      #expect(name.path == directory.path + "/file")
      #expect(name.workDirectory == directory.path + "/.file.spate")
    }
  }

  @Test func aNameMayBeGiven() throws {
    let directory = try ScratchDirectory()
    let name = try Self.name("http://h/", directory.path + "/mine")
    #expect(name.path == directory.path + "/mine")
    #expect(name.workDirectory == directory.path + "/.mine.spate")
    #expect(try Self.name("http://h/", "mine").workDirectory == ".mine.spate")
  }

  @Test(arguments: ["http://h", "http://h/", "http://h/a/", "http://h/a%2fb/.."])
  func aURLWithoutANameNeedsOne(url: String) {
    #expect(throws: PeerError.self) { _ = try Self.name(url, nil) }
  }

  @Test func missingDirectoriesAreSaidSo() throws {
    let directory = try ScratchDirectory()
    #expect(FileManager.default.createFile(atPath: directory.path + "/file", contents: nil))
    for output in ["/missing/file", "/missing/", "/file/x"] {
      #expect(throws: PeerError.self) {
        _ = try Self.name("http://h/file", directory.path + output)
      }
    }
  }
}

@Suite struct WholeResponseTests {
  private static func ask(
    byteCountMax: Int, _ answer: @escaping FakeServer.Answer
  ) throws -> [Result<WholeResponse.Message, RequestFailure>] {
    let loop = try EventLoop()
    let server = try FakeServer(loop, answer)
    let connection = ClientConnection(loop, to: server.endpoint, host: "test")
    var results: [Result<WholeResponse.Message, RequestFailure>] = []
    let receiver = WholeResponse(byteCountMax: byteCountMax) { results.append($0) }
    connection.send(.get, "/", silenceMax: .seconds(30), receiver: receiver)
    loop.run { !results.isEmpty }
    connection.close()
    loop.run { !connection.isOpen }
    return results
  }

  @Test func aBodyAtTheLimitIsWhole() throws {
    let results = try Self.ask(byteCountMax: 5) { $1.respond(.ok, body: .bytes([1, 2, 3, 4, 5])) }
    #expect(results.count == 1)
    let message = try results[0].get()
    #expect(message.body == [1, 2, 3, 4, 5])
    #expect(message.isFromSpate)
  }

  @Test func aLongerBodyIsNotKept() throws {
    let known = try Self.ask(byteCountMax: 4) { $1.respond(.ok, body: .bytes([1, 2, 3, 4, 5])) }
    let unknown = try Self.ask(byteCountMax: 4) { OpenBody.start([1, 2, 3, 4, 5], on: $1) }
    for results in [known, unknown] {
      #expect(results.count == 1)
      #expect(try results[0].get().body == [])
    }
  }

  @Test func aBodyThatEndsEarlyFails() throws {
    let results = try Self.ask(byteCountMax: 10) { CutBody.start([1, 2], length: 5, on: $1) }
    #expect(results.count == 1)
    #expect(throws: RequestFailure.self) { _ = try results[0].get() }
  }

  @Test func fieldsAreRead() throws {
    let results = try Self.ask(byteCountMax: 100) { _, connection in
      connection.respondText(.serviceUnavailable, "busy") {
        HeadWriter.field(.retryAfter, 7, to: &$0)
        HeadWriter.field(.location, "/there", to: &$0)
      }
    }
    let message = try results[0].get()
    #expect(message.status == .serviceUnavailable)
    #expect(message.retryAfter == .seconds(7))
    #expect(message.location == "/there")
  }
}

@Suite struct GetSummaryTests {
  private static func part() throws -> (PlainPart, ScratchDirectory) {
    let directory = try ScratchDirectory()
    let part = try PlainPart(directory: directory.path)
    try Array("abc".utf8).withUnsafeBytes { try part.append($0) }
    return (part, directory)
  }

  /// SHA-256 of "abc" (FIPS 180-4).
  private static let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

  @Test func aPlainDownloadSaysThatNothingWasVerified() throws {
    let (part, _) = try Self.part()
    let summary = GetSummary(part, path: "out\"\n", duration: .milliseconds(1_500))
    #expect(summary.line.hasSuffix(": 3 B in 1.50 s (2 B/s), not verified: not a Spate origin\n"))
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(summary.json.utf8)) as? [String: Any])
    #expect(json["path"] as? String == "out\"\n")
    #expect(json["bytes"] as? Int == 3)
    #expect(json["seconds"] as? Double == 1.5)
    #expect(json["sha256"] as? String == Self.abc)
    #expect(json["from_origin"] as? Int == 3)
    #expect(json["from_peers"] as? Int == 0)
    #expect(json["rejected"] as? Int == 0)
    #expect(json["verified"] as? Bool == false)
    #expect(json["id"] == nil)
    #expect(summary.json.hasSuffix("}\n"))
  }

  @Test func noTimeIsNoDivisor() throws {
    let (part, _) = try Self.part()
    #expect(GetSummary(part, path: "f", duration: .zero).line.contains("(0 B/s)"))
  }
}

@Suite struct TransferTallyTests {
  @Test func bytesAreCountedByTheirSource() {
    var tally = TransferTally()
    tally.add(byteCount: 5, from: .origin)
    tally.add(byteCount: 7, from: PeerID(high: 1, low: 0))
    #expect(tally.fromOriginByteCount == 5)
    #expect(tally.fromPeersByteCount == 7)
  }
}
