import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite struct GatewayTests {
    static let byteCount = 8 << 20

    let folder: Folder
    let origin: Origin
    let bytes: [UInt8]

    init() throws {
      folder = try Folder()
      try folder.directory("root/deep")
      bytes = try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 4)
      try folder.writeSample("root/deep/b c.txt", byteCount: 70_000, seed: 5)
      origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
    }

    private var originURL: String { "http://127.0.0.1:\(origin.port)" }

    @Test func theBeginningIsStreamedWhileTheRestIsMissing() throws {
      let relay = try Relay(to: origin.port, allowance: Self.byteCount / 2)
      defer { relay.close() }
      let peer = try Peer(of: "http://127.0.0.1:\(relay.port)", cache: "cache", in: folder)
      let connection = try Connection(port: peer.gatewayPort)
      connection.send("GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n")
      let head = try connection.receiveHead()
      #expect(head.status == 200)
      #expect(head["content-length"] == "\(Self.byteCount)")
      // The relay keeps the second half back: whatever comes now is the verified beginning.
      let beginning = try connection.take(256 << 10)
      #expect(beginning == Array(bytes[..<(256 << 10)]))
      #expect(relay.passedByteCount <= Self.byteCount / 2)
      relay.open()
      let rest = try connection.take(Self.byteCount - (256 << 10))
      #expect(rest == Array(bytes[(256 << 10)...]))
    }

    @Test func answersLikeAFileServer() throws {
      let peer = try Peer(of: originURL, cache: "cache", in: folder)
      let whole = try peer.fetch("/file.bin")
      #expect(whole.status == 200)
      #expect(whole.body == bytes)
      let etag = try #require(whole["etag"])
      #expect(etag == "\"\(packageID(of: bytes))\"")
      let head = try peer.ask("/file.bin", method: "HEAD", at: peer.gatewayPort)
      #expect(head.status == 200)
      #expect(head["content-length"] == "\(Self.byteCount)")
      #expect(head["etag"] == etag)
      let part = try peer.fetch("/file.bin", ["Range: bytes=1000000-1999999"])
      #expect(part.status == 206)
      #expect(part["content-range"] == "bytes 1000000-1999999/\(Self.byteCount)")
      #expect(part.body == Array(bytes[1_000_000...1_999_999]))
      #expect(try peer.fetch("/file.bin", ["If-None-Match: \(etag)"]).status == 304)
      #expect(try peer.fetch("/file.bin", ["Range: bytes=99999999-"]).status == 416)
      #expect(try peer.fetch("/missing").status == 404)
      #expect(try peer.fetch("/deep/b%20c.txt").body == folder.bytes(of: "root/deep/b c.txt"))
      #expect(try peer.fetch("/deep").status == 404)
      #expect(try peer.fetch("/../etc/passwd").status == 400)
      #expect(try peer.ask("/file.bin", method: "DELETE", at: peer.gatewayPort).status == 405)
      #expect(try peer.terminate() == .code(0))
    }

    @Test func theEndOfAColdFileComesFirst() throws {
      let peer = try Peer(of: originURL, cache: "cache", in: folder)
      let part = try peer.fetch("/file.bin", ["Range: bytes=-1000"])
      #expect(part.status == 206)
      #expect(part.body == Array(bytes.suffix(1_000)))
    }

    @Test func aRestartKeepsWhatWasVerified() throws {
      let first = try Peer(of: originURL, cache: "cache", in: folder)
      #expect(try first.fetch("/file.bin").body == bytes)
      #expect(try first.terminate() == .code(0))
      let sent = try origin.sentContentByteCount
      let second = try Peer(of: originURL, cache: "cache", in: folder)
      #expect(try second.fetch("/file.bin").body == bytes)
      #expect(try origin.sentContentByteCount == sent)
      second.program.send(SIGKILL)
      _ = try second.program.wait()
      // Killed, and the origin gone: the cache still serves what it knows.
      #expect(try origin.terminate() == .code(0))
      let third = try Peer(of: originURL, cache: "cache", in: folder)
      #expect(try third.fetch("/file.bin").body == bytes)
      #expect(try third.fetch("/deep/b%20c.txt").status == 502)
    }

    @Test func theOlderFileMakesRoom() throws {
      try folder.writeSample("root/second.bin", byteCount: Self.byteCount, seed: 6)
      let peer = try Peer(of: originURL, cache: "cache", ["--cache-limit", "12MiB"], in: folder)
      #expect(try peer.fetch("/file.bin").body == bytes)
      try origin.manifest("/second.bin")
      #expect(try peer.fetch("/second.bin").body == folder.bytes(of: "root/second.bin"))
      #expect(try usedByteCount(folder["cache"]) <= 13 << 20)
      let sent = try origin.sentContentByteCount
      // What is in the cache costs nothing; what was evicted is fetched again.
      #expect(try peer.fetch("/second.bin").status == 200)
      #expect(try origin.sentContentByteCount == sent)
      #expect(try peer.fetch("/file.bin").body == bytes)
      #expect(try origin.sentContentByteCount > sent)
    }

    @Test func aFileLargerThanTheCacheStreamsRight() throws {
      let peer = try Peer(of: originURL, cache: "cache", ["--cache-limit", "4MiB"], in: folder)
      #expect(try peer.fetch("/file.bin").body == bytes)
      #expect(try usedByteCount(folder["cache"]) <= 5 << 20)
      #expect(try peer.ask("/-/health").status == 200)
    }

    private func usedByteCount(_ path: String) throws -> Int {
      let result = try run("du", ["-s", "--block-size=1", path], in: folder)
      guard let count = Int(result.output.prefix { $0.isNumber }) else {
        throw Failure("du: \(result.output)")
      }
      return count
    }
  }
}
