import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// Origins that take a while to be heard.
  @Suite struct PatienceTests {
    let folder: Folder
    let origin: Origin

    init() throws {
      folder = try Folder()
      let root = try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: 300_000, seed: 3)
      origin = try Origin(root, in: folder)
      try origin.manifest("/file.bin")
    }

    @Test func aGetOutlastsAnOriginThatSaysNothingAtFirst() throws {
      let relay = try Relay(to: origin.port, allowance: 0)
      defer { relay.close() }
      let download = try Download("http://127.0.0.1:\(relay.port)/file.bin", to: "copy", in: folder)
      // It has given the first question up, and says so.
      try eventually("it waits") { download.program.errorOutput.contains("waiting for 127.0.0.1") }
      relay.open()
      let summary = try download.finish()
      #expect(summary.sha256 == (try sha256(folder["root/file.bin"], in: folder)))
    }

    @Test func aGetThatWaitsCanBeInterrupted() throws {
      let relay = try Relay(to: origin.port, allowance: 0)
      defer { relay.close() }
      let download = try Download("http://127.0.0.1:\(relay.port)/file.bin", to: "copy", in: folder)
      try eventually("it waits") { download.program.errorOutput.contains("waiting for 127.0.0.1") }
      download.program.send(SIGINT)
      #expect(try download.program.wait() == .code(130))
    }

    @Test func nobodyListeningIsSaidAtOnce() throws {
      let (socket, port) = try listenOnLoopback()
      close(socket)
      let (exit, _, errorOutput) = try Spate.run(
        ["get", "http://127.0.0.1:\(port)/file.bin", "-o", folder["copy"]], in: folder)
      #expect(exit == .code(1))
      #expect(errorOutput.contains("Connection refused"))
      #expect(!errorOutput.contains("waiting"))
    }
  }
}
