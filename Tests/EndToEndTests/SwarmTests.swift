import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite struct SwarmTests {
    static let byteCount = 16 << 20

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
