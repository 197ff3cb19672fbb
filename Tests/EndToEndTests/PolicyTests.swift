import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// Serve, refer or refuse, as an operator sets it.
  @Suite struct PolicyTests {
    /// More than the buffers between two sockets take.
    static let byteCount = 24 << 20

    let folder: Folder
    let bytes: [UInt8]

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      bytes = try folder.writeSample("root/a b.bin", byteCount: Self.byteCount, seed: 21)
    }

    private func origin(_ arguments: [String]) throws -> Origin {
      let origin = try Origin(folder["root"], arguments, in: folder)
      try origin.manifest("/a%20b.bin")
      return origin
    }

    /// A response that is under way for as long as the connection is kept.
    private func occupy(_ origin: Origin) throws -> Connection {
      let connection = try Connection(port: origin.port)
      connection.send("GET /a%20b.bin HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try connection.receiveHead().status == 200)
      return connection
    }

    @Test func beyondItsLimitAPlainClientIsToldToComeBack() throws {
      let origin = try origin(["--max-plain", "1"])
      let busy = try occupy(origin)
      let refused = try origin.ask("/a%20b.bin")
      #expect(refused.status == 503)
      let delay = try #require(refused["retry-after"].flatMap { Int($0) })
      #expect((1...60).contains(delay))
      // What costs nothing is answered.
      #expect(try origin.ask("/a%20b.bin", method: "HEAD").status == 200)
      #expect(try origin.ask("/-/health").status == 200)
      #expect(try origin.metric("spate_plain_refusals_total") == 1)
      withExtendedLifetime(busy) {}
    }

    @Test func withoutLimitsThereIsRoomForEverybody() throws {
      let origin = try origin([])
      let busy = try (0..<20).map { _ in try occupy(origin) }
      #expect(try origin.ask("/a%20b.bin", ["Range: bytes=0-9"]).body == Array(bytes[..<10]))
      withExtendedLifetime(busy) {}
    }

    @Test func aPlainClientIsSentToAPeerThatHasItAll() throws {
      let origin = try origin(["--max-plain", "1", "--redirect-plain"])
      let url = "http://127.0.0.1:\(origin.port)"
      let peer = try Peer(of: url, cache: "cache", in: folder)
      #expect(try peer.fetch("/a%20b.bin").body == bytes)
      let busy = try occupy(origin)
      var answer = try origin.ask("/a%20b.bin")
      try eventually("the tracker knows that the peer holds everything") {
        answer = try origin.ask("/a%20b.bin")
        return answer.status == 307
      }
      let location = "http://127.0.0.1:\(peer.port)/-/package/\(packageID(of: bytes))"
      #expect(answer["location"] == location)
      #expect(answer["cache-control"] == "no-store")
      let there = try peer.ask("/-/package/\(packageID(of: bytes))")
      #expect(there.body == bytes)
      #expect(there["content-disposition"] == "attachment; filename*=UTF-8''a%20b.bin")
      let status = try origin.ask("/-/status").json()
      let policy = try #require(status["policy"] as? [String: Any])
      #expect(policy["plain_limit"] as? Int == 1)
      #expect((policy["plain_redirects"] as? Int ?? 0) > 0)
      withExtendedLifetime(busy) {}
    }

    @Test func atARateTheBytesAreTheSame() throws {
      let origin = try origin(["--origin-rate", "400MB/s"])
      let whole = try origin.ask("/a%20b.bin")
      #expect(whole.status == 200)
      #expect(whole.body == bytes)
      #expect(whole["repr-digest"] != nil)
      let part = try origin.ask("/a%20b.bin", ["Range: bytes=1000-2000000"])
      #expect(part.status == 206)
      #expect(part.body == Array(bytes[1_000...2_000_000]))
      #expect(part["content-range"] == "bytes 1000-2000000/\(Self.byteCount)")
      let parts = try origin.ask("/a%20b.bin", ["Range: bytes=0-9,100-199"])
      #expect(parts.status == 206)
      #expect(parts["content-type"]?.hasPrefix("multipart/byteranges") == true)
      #expect(try origin.ask("/a%20b.bin", method: "HEAD")["content-length"] == "\(Self.byteCount)")
      try eventually("what was sent is counted") {
        try origin.sentContentByteCount == Self.byteCount + 1_999_001 + 110
      }
      let report = try Download(origin.url("/a%20b.bin"), to: "copy", in: folder).finish()
      #expect(report.bytes == Self.byteCount)
      #expect(report.from_origin == Self.byteCount)
    }

    @Test func theSwarmGetsNoMoreThanItsCopies() throws {
      let origin = try origin(["--origin-copies", "1"])
      let url = "http://127.0.0.1:\(origin.port)"
      let peer = try Peer(of: url, cache: "cache", in: folder)
      #expect(try peer.fetch("/a%20b.bin").body == bytes)
      let id = packageID(of: bytes)
      let name = "Spate-Peer: 00000000000000000000000000000009"
      var answer = try origin.ask("/-/package/\(id)", [name, "Range: bytes=0-9"])
      try eventually("the tracker knows that the peer holds everything") {
        answer = try origin.ask("/-/package/\(id)", [name, "Range: bytes=0-9"])
        return answer.status == 503
      }
      #expect(answer["retry-after"] != nil)
      #expect(try origin.ask("/-/package/\(id)", ["Range: bytes=0-9"]).status == 206)
      let late = try Download(origin.url("/a%20b.bin"), to: "copy", in: folder).finish()
      #expect(late.from_peers == Self.byteCount)
      #expect(try origin.metric("spate_budget_refusals_total") > 0)
    }

    @Test func nonsenseOnTheCommandLineIsRefused() throws {
      for arguments in [
        ["--origin-copies", "0.5"], ["--origin-copies", "nan"], ["--origin-rate", "fast"],
        ["--max-plain", "0"],
      ] {
        let result = try Spate.run(["origin", folder["root"]] + arguments, in: folder)
        #expect(result.exit == .code(2), "\(arguments)")
      }
      for url in ["http://127.0.0.1:1/", "http://127.0.0.1:1/folder/"] {
        #expect(try Spate.run(["get", url], in: folder).exit == .code(2), "\(url)")
      }
    }
  }
}
