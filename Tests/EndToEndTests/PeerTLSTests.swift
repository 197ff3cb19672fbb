import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// Peers that speak TLS among themselves.
  @Suite(.enabled(if: isInstalled("openssl") && isInstalled("curl"))) struct PeerTLSTests {
    static let byteCount = 4 << 20

    let folder: Folder
    let origin: Origin
    let id: String
    let expected: String

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      id = packageID(
        of: try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 21))
      expected = try sha256(folder["root/file.bin"], in: folder)
      origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
    }

    /// A peer that holds the whole file, and what the origin says of it.
    private func seed(
      _ arguments: [String] = []
    ) throws -> (peer: Peer, source: [String: Any]) {
      let peer = try Peer(
        of: "http://127.0.0.1:\(origin.port)", cache: "cache", arguments, in: folder)
      #expect(try peer.fetch("/file.bin").body.count == Self.byteCount)
      var found: [String: Any] = [:]
      try eventually("the origin knows the seed") {
        let answer = try origin.ask("/-/referral/\(id)", ["Accept: application/json"]).json()
        let packages = try #require(answer["packages"] as? [[String: Any]])
        let sources = try #require(packages.first?["sources"] as? [[String: Any]])
        found =
          sources.first { $0["held_pieces"] as? Int ?? 0 > 0 && $0["is_origin"] as? Bool == false }
          ?? [:]
        return found["held_pieces"] as? Int == packages[0]["piece_count"] as? Int
      }
      return (peer, found)
    }

    @Test func theCertificateIsTheOneTheTrackerNames() throws {
      let (peer, source) = try seed(["--peer-tls"])
      #expect(source["speaks_tls"] as? Bool == true)
      let shown = try run(
        "sh",
        [
          "-c",
          """
          openssl s_client -connect 127.0.0.1:\(peer.port) -alpn http/1.1 </dev/null 2>/dev/null \
          | openssl x509 -outform DER | sha256sum
          """,
        ], in: folder)
      #expect(shown.output.prefix(32) == (source["peer"] as? String ?? "none")[...])
      let plain = try run(
        "curl", ["-sS", "http://127.0.0.1:\(peer.port)/-/health"], in: folder)
      #expect(plain.exit != .code(0))
      let secure = try run(
        "curl", ["-sSk", "https://127.0.0.1:\(peer.port)/-/health"], in: folder)
      #expect(secure.output.hasPrefix("ok"))
    }

    @Test func everybodyTakesFromThoseThatSpeakIt() throws {
      let (peer, _) = try seed(["--peer-tls"])
      for arguments in [[], ["--peer-tls"]] {
        let before = try origin.sentContentByteCount
        let report = try Download(
          origin.url("/file.bin"), to: "copy\(arguments.count)", arguments, in: folder
        ).finish()
        #expect(report.sha256 == expected)
        #expect(report.from_peers > 0)
        #expect(report.from_peers + report.from_origin >= Self.byteCount)
        #expect(try origin.sentContentByteCount - before == report.from_origin)
      }
      #expect(try peer.terminate() == .code(0))
    }

    @Test func whoAsksForItTakesNothingFromOthers() throws {
      let (peer, source) = try seed()
      #expect(source["speaks_tls"] as? Bool == false)
      let report = try Download(
        origin.url("/file.bin"), to: "copy", ["--peer-tls"], in: folder
      ).finish()
      #expect(report.sha256 == expected)
      #expect(report.from_peers == 0)
      #expect(try peer.terminate() == .code(0))
    }
  }
}
