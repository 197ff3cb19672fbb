import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// The same over TLS, with an authority of the test's own.
  @Suite(.enabled(if: isInstalled("openssl") && isInstalled("curl"))) struct TLSTests {
    static let byteCount = 4 << 20

    let folder: Folder
    let origin: Origin
    let expected: String

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 18)
      expected = try sha256(folder["root/file.bin"], in: folder)
      let made = try run(
        "openssl",
        [
          "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
          "-days", "2", "-subj", "/CN=localhost", "-addext",
          "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder["key.pem"],
          "-out", folder["certificate.pem"],
        ], in: folder)
      guard made.exit == .code(0) else { throw Failure(made.errorOutput) }
      // The plain socket's line comes first.
      origin = try Origin(
        folder["root"],
        [
          "--tls-listen", "127.0.0.1:0", "--tls-cert", folder["certificate.pem"],
          "--tls-key", folder["key.pem"],
        ], in: folder)
      try eventually("the TLS socket's line") { tlsPort != nil }
      try origin.manifest("/file.bin")
    }

    private var tlsPort: UInt16? {
      let lines = origin.program.output.split(separator: "\n")
      return lines.count == 2 ? lines[1].split(separator: ":").last.flatMap { UInt16($0) } : nil
    }

    private func url(_ path: String) throws -> String {
      "https://localhost:\(try #require(tlsPort))\(path)"
    }

    @Test func curlDownloads() throws {
      for version in [["--tlsv1.3"], ["--tlsv1.2", "--tls-max", "1.2"]] {
        let result = try run(
          "curl",
          version + [
            "-sSf", "--cacert", folder["certificate.pem"], "-o", folder["copy"],
            url("/file.bin"),
          ], in: folder)
        #expect(result.exit == .code(0), "\(result.errorOutput)")
        #expect(try sha256(folder["copy"], in: folder) == expected)
      }
      let part = try run(
        "curl",
        [
          "-sSf", "--cacert", folder["certificate.pem"], "-r", "1000000-1000099", "-o",
          folder["part"], url("/file.bin"),
        ], in: folder)
      #expect(part.exit == .code(0), "\(part.errorOutput)")
      let bytes = try folder.bytes(of: "root/file.bin")
      #expect(try folder.bytes(of: "part") == Array(bytes[1_000_000..<1_000_100]))
    }

    @Test func getsShareOverIt() throws {
      let downloads = try (0..<4).map {
        try Download(
          url("/file.bin"), to: "copy\($0)", ["--ca", folder["certificate.pem"]], in: folder)
      }
      var fromPeersByteCount = 0
      for download in downloads {
        let report = try download.finish()
        #expect(report.sha256 == expected)
        #expect(try sha256(download.path, in: folder) == expected)
        fromPeersByteCount += report.from_peers
      }
      // So small a file is out before all have met; how few copies it takes is tested with another.
      #expect(fromPeersByteCount > Self.byteCount)
    }

    @Test func aGatewayInFrontOfIt() throws {
      let peer = try Peer(
        of: url(""), cache: "cache", ["--ca", folder["certificate.pem"]], in: folder)
      #expect(try peer.fetch("/file.bin").body == folder.bytes(of: "root/file.bin"))
    }

    @Test func anUntrustedOriginIsNotDownloadedFrom() throws {
      let download = try Download(url("/file.bin"), to: "copy", in: folder)
      #expect(try download.program.wait() == .code(1))
      #expect(download.program.errorOutput.lowercased().contains("certificate"))
      #expect(!FileManager.default.fileExists(atPath: download.path))
      #expect(try origin.sentContentByteCount == 0)
    }

    @Test func plainRequestsToTheTLSPortHarmNobody() throws {
      let connection = try Connection(port: #require(tlsPort))
      connection.send("GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n")
      while connection.fill() {}
      #expect(try origin.ask("/-/health").status == 200)
      try curlDownloads()
    }
  }
}
