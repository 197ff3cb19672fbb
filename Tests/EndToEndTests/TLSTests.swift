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
      try Self.makeCertificate("certificate", "DNS:localhost,IP:127.0.0.1", in: folder)
      try Self.makeCertificate("second", "DNS:*.second.example", in: folder)
      // The plain socket's line comes first.
      origin = try Origin(
        folder["root"],
        [
          "--tls-listen", "127.0.0.1:0", "--tls-cert", folder["certificate.pem"],
          "--tls-key", folder["certificate.key"], "--tls-cert", folder["second.pem"], "--tls-key",
          folder["second.key"],
        ], in: folder)
      try eventually("the TLS socket's line") { tlsPort != nil }
      try origin.manifest("/file.bin")
    }

    private static func makeCertificate(
      _ file: String, _ names: String, in folder: Folder
    ) throws {
      let made = try run(
        "openssl",
        [
          "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
          "-days", "2", "-subj", "/CN=\(file)", "-addext", "subjectAltName=\(names)", "-keyout",
          folder["\(file).key"], "-out", folder["\(file).pem"],
        ], in: folder)
      guard made.exit == .code(0) else { throw Failure(made.errorOutput) }
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

    /// Whether a client that believes in one of the certificates is content with the one it gets.
    private func accepts(_ certificate: String, from name: String) throws -> Bool {
      let port = try #require(tlsPort)
      let result = try run(
        "curl",
        [
          "-sSf", "--cacert", folder[certificate], "--resolve", "\(name):\(port):127.0.0.1",
          "-o", "/dev/null", "https://\(name):\(port)/-/health",
        ], in: folder)
      return result.exit == .code(0)
    }

    @Test func theCertificateFollowsTheName() throws {
      #expect(try accepts("certificate.pem", from: "localhost"))
      #expect(try accepts("second.pem", from: "any.second.example"))
      // The wildcard stands for one label; without a match the first is shown.
      #expect(try !accepts("second.pem", from: "a.b.second.example"))
      #expect(try !accepts("second.pem", from: "localhost"))
    }

    @Test func aHangupReadsTheCertificatesAgain() throws {
      try run("cp", [folder["second.pem"], folder["before.pem"]], in: folder)
      try Self.makeCertificate("second", "DNS:*.second.example", in: folder)
      #expect(try accepts("before.pem", from: "any.second.example"))
      origin.program.send(SIGHUP)
      try eventually("the new certificate") {
        try accepts("second.pem", from: "any.second.example")
      }
      #expect(try !accepts("before.pem", from: "any.second.example"))
      try FileManager.default.removeItem(atPath: folder["second.key"])
      origin.program.send(SIGHUP)
      try eventually("a line about the missing key") {
        origin.program.errorOutput.contains("second.key")
      }
      #expect(try accepts("second.pem", from: "any.second.example"))
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
