import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// What is wrong is said in one clear line, with the right exit code, and nothing is lost.
  @Suite struct BadInputTests {
    let folder: Folder

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      try folder.write(Array("text\n".utf8), to: "root/file.txt")
    }

    private func complains(
      _ arguments: [String], code: Int32 = 1, _ words: String...,
      location: SourceLocation = #_sourceLocation
    ) throws {
      let result = try Spate.run(arguments, in: folder)
      #expect(result.exit == .code(code), "\(result.errorOutput)", sourceLocation: location)
      #expect(result.output.isEmpty, sourceLocation: location)
      for word in words {
        #expect(
          result.errorOutput.contains(word), "\(result.errorOutput)", sourceLocation: location)
      }
      if code == 1 {
        let lines = result.errorOutput.split(separator: "\n")
        #expect(lines.count == 1, "\(result.errorOutput)", sourceLocation: location)
        #expect(lines.first?.hasPrefix("spate: ") == true, sourceLocation: location)
      }
    }

    @Test func wrongUsage() throws {
      try complains(["get"], code: 2, "<url>")
      try complains(["get", "--frobnicate", "http://a/b"], code: 2, "--frobnicate")
      try complains(["frobnicate"], code: 2, "frobnicate")
      try complains(["get", "ftp://a/b"], code: 2, "ftp")
      try complains(["get", "nonsense"], code: 2, "http://")
      try complains(["get", "http://a:99999/b"], code: 2, "99999")
      try complains(["get", "http:///b"], code: 2)
      try complains(["peer", "--origin", "http://a"], code: 2, "--cache")
      try complains(
        ["peer", "--origin", "http://a", "--cache", "c", "--cache-limit", "much"], code: 2, "much")
      try complains(["origin", "root", "--listen", "1.2.3.4:99999"], code: 2, "99999")
      try complains(["origin", "root", "--loops", "0"], code: 2, "--loops")
      try complains(["origin", "root", "--tls-cert", "x"], code: 2, "--tls-key")
    }

    @Test func rootsThatAreNone() throws {
      let listen = ["--listen", "127.0.0.1:0", "--state", folder["state"]]
      try complains(["origin", folder["missing"]] + listen, "missing", "no such")
      try complains(["origin", folder["root/file.txt"]] + listen, "file.txt", "not a directory")
    }

    @Test func aStateThatCannotBeWritten() throws {
      try complains(
        [
          "origin", folder["root"], "--listen", "127.0.0.1:0", "--state",
          folder["root/file.txt/state"],
        ], "--state")
    }

    @Test func aCertificateThatIsNone() throws {
      try complains(
        [
          "origin", folder["root"], "--tls-listen", "127.0.0.1:0", "--state", folder["state"],
          "--tls-cert", folder["root/file.txt"], "--tls-key", folder["root/file.txt"],
        ], "file.txt")
    }

    @Test func aPortThatIsTaken() throws {
      let (socket, port) = try listenOnLoopback()
      defer { close(socket) }
      let taken = "127.0.0.1:\(port)"
      try complains(
        ["origin", folder["root"], "--listen", taken, "--state", folder["state"]], taken)
      try complains(
        ["peer", "--origin", "http://127.0.0.1:1", "--cache", folder["cache"], "--listen", taken],
        taken)
      try complains(
        [
          "peer", "--origin", "http://127.0.0.1:1", "--cache", folder["cache"], "--gateway", taken,
        ], taken)
      let origin = try Origin(folder["root"], in: folder)
      try complains(
        [
          "origin", folder["root"], "--listen", "127.0.0.1:\(origin.port)", "--state",
          folder["other-state"],
        ], "\(origin.port)")
    }

    @Test func anOriginThatDoesNotAnswer() throws {
      // Bound and not listening: connections are refused, and nobody else gets the port.
      let (socket, port) = try listenOnLoopback()
      shutdown(socket, Int32(SHUT_RDWR))
      defer { close(socket) }
      let copy = ["-o", folder["copy"]]
      try complains(["get", "http://127.0.0.1:\(port)/f"] + copy, "127.0.0.1:\(port)", "refused")
      try complains(["get", "http://nobody.invalid/f"] + copy, "nobody.invalid")
      #expect(try leftOver().isEmpty)
    }

    @Test func filesThatAreNotThere() throws {
      let origin = try Origin(folder["root"], in: folder)
      try complains(
        ["get", origin.url("/missing"), "-o", folder["copy"]], "404", origin.url("/missing"))
      try complains(["get", origin.url("/"), "-o", folder["copy"]], origin.url("/"))
      try complains(
        ["get", origin.url("/file.txt"), "-o", folder["no/such/copy"]], "no such directory")
      #expect(try leftOver().isEmpty)
    }

    /// Work directories and outputs in the folder.
    private func leftOver() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
        $0.hasPrefix(".") || $0.hasPrefix("copy")
      }
    }

    @Test func namesAndLinksThatLeadOut() throws {
      try folder.write(Array("secret".utf8), to: "secret.txt")
      let manager = FileManager.default
      try manager.createSymbolicLink(
        atPath: folder["root/inside"], withDestinationPath: "file.txt")
      try manager.createSymbolicLink(
        atPath: folder["root/outside"], withDestinationPath: "../secret.txt")
      try manager.createSymbolicLink(
        atPath: folder["root/absolute"], withDestinationPath: folder["secret.txt"])
      try manager.createSymbolicLink(
        atPath: folder["root/directory"], withDestinationPath: folder.path)
      #expect(mkfifo(folder["root/pipe"], 0o600) == 0)
      let origin = try Origin(folder["root"], in: folder)
      #expect(try origin.ask("/inside").text == "text\n")
      for path in ["/outside", "/absolute", "/directory/secret.txt", "/pipe"] {
        #expect(try origin.ask(path).status == 404, "\(path)")
        #expect(try origin.ask("/-/manifest\(path)").status == 404, "\(path)")
      }
      for path in ["/../secret.txt", "/%2e%2e/secret.txt", "/a/../../secret.txt", "/.%2E/x"] {
        #expect(try origin.ask(path).status == 400, "\(path)")
      }
      for path in ["/%00", "/file.txt%00", "/a%2fb", "/%zz", "/%"] {
        let status = try origin.ask(path).status
        #expect(status == 400 || status == 404, "\(path): \(status)")
      }
      #expect(try origin.ask("/-/health").status == 200)
    }

    @Test func aCacheThatIsInUse() throws {
      let origin = try Origin(folder["root"], in: folder)
      let url = "http://127.0.0.1:\(origin.port)"
      let peer = try Peer(of: url, cache: "cache", in: folder)
      try complains(
        [
          "peer", "--origin", url, "--cache", folder["cache"], "--listen", "127.0.0.1:0",
        ], folder["cache"], "use")
      try complains(
        [
          "get", origin.url("/file.txt"), "-o", folder["copy"], "--cache", folder["cache"],
        ], folder["cache"], "use")
      #expect(try peer.fetch("/file.txt").text == "text\n")
    }

    @Test func whatAFileIsNamedAlreadyStaysUntilTheNewOneIsWhole() throws {
      try folder.writeSample("root/large.bin", byteCount: 4 << 20, seed: 11)
      try folder.write(Array("old".utf8), to: "copy")
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/large.bin")
      let relay = try Relay(to: origin.port, allowance: 2 << 20)
      defer { relay.close() }
      let download = try Download(
        "http://127.0.0.1:\(relay.port)/large.bin", to: "copy", in: folder)
      try eventually("half of the file arrives") { relay.passedByteCount >= 2 << 20 }
      #expect(try folder.bytes(of: "copy") == Array("old".utf8))
      relay.open()
      _ = try download.finish()
      #expect(try folder.bytes(of: "copy") == folder.bytes(of: "root/large.bin"))
    }
  }
}
