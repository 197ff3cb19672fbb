import Content
import Foundation
import Glibc
import Testing
import Wire

extension EndToEnd {
  @Suite struct SwarmTests {
    static let byteCount = 16 << 20

    /// Announces wait for others of their turn; what follows on a connection waits for their answer.
    @Test func pipelinedAnnouncesAreAnsweredInTheirOrder() throws {
      let folder = try Folder()
      let origin = try Origin(try folder.directory("root"), in: folder)
      let connection = try Connection(port: origin.port)
      for number in 0..<40 {
        let announce = Announce(
          peer: PeerID(high: 1, low: UInt64(number)), port: 0, site: "", isLeaving: false,
          uploads: UploadLoad(active: 0, limit: 0, byteRate: 0), reports: [])
        let body = announce.encode()
        let isLast = number == 39
        let head =
          "POST /-/announce HTTP/1.1\r\nHost: a\r\nContent-Type: application/vnd.spate\r\n"
          + (isLast ? "Connection: close\r\n" : "") + "Content-Length: \(body.count)\r\n\r\n"
        connection.send("GET /missing HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.send(Array(head.utf8) + body)
      }
      for _ in 0..<40 {
        #expect(try connection.receive().status == 404)
        #expect(try connection.receive().status == 200)
      }
      #expect(connection.ends())
    }

    @Test func eightAtOnceCostTheOriginAboutOneCopy() throws {
      let folder = try Folder()
      let root = try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: Self.byteCount)
      let expected = try sha256(folder["root/file.bin"], in: folder)
      let origin = try Origin(root, in: folder)
      try origin.manifest("/file.bin")
      let downloads = try (0..<8).map {
        try Download(origin.url("/file.bin"), to: "copy\($0)", in: folder)
      }
      for download in downloads {
        let report = try download.finish()
        #expect(report.path == download.path)
        #expect(report.bytes == Self.byteCount)
        #expect(report.seconds > 0)
        #expect(report.sha256 == expected)
        #expect(report.from_origin + report.from_peers >= Self.byteCount)
        #expect(report.rejected == 0)
        #expect(try sha256(download.path, in: folder) == expected)
      }
      let copies = try Double(origin.sentContentByteCount) / Double(Self.byteCount)
      #expect(copies >= 1)
      #expect(copies <= 1.3)
      // Nothing but the files is left behind.
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      #expect(names.filter { $0.hasPrefix(".") }.isEmpty)
      #expect(try origin.terminate() == .code(0))
    }
  }
}
