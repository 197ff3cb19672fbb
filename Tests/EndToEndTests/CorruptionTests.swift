import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite struct CorruptionTests {
    static let byteCount = 8 << 20

    @Test func aCorruptingPeerHarmsNobodyAndIsDropped() throws {
      let folder = try Folder()
      try folder.directory("root")
      let bytes = try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 9)
      let expected = try sha256(folder["root/file.bin"], in: folder)
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
      let id = packageID(of: bytes)
      let corrupter = try CorruptPeer(serving: bytes)
      defer { corrupter.close() }
      try corrupter.announce(to: origin)
      #expect(try origin.referral(id).contains("\(corrupter.id)"))

      let downloads = try (0..<3).map {
        try Download(
          origin.url("/file.bin"), to: "copy\($0)", ["--seed-for", "60s"], in: folder)
      }
      var rejectedCount = 0
      for download in downloads {
        let report = try download.complete()
        #expect(report.sha256 == expected)
        #expect(try sha256(download.path, in: folder) == expected)
        rejectedCount += report.rejected
      }
      #expect(corrupter.corruptedBlockCount > 0)
      #expect(rejectedCount > 0)
      // Whoever was harmed has told; the honest stay on the list.
      try eventually("the corrupter is dropped") {
        try !origin.referral(id).contains("\(corrupter.id)")
      }
      #expect(try origin.metric("spate_peers_suspended") == 1)
      try corrupter.announce(to: origin)
      #expect(try !origin.referral(id).contains("\(corrupter.id)"))
      let late = try Download(origin.url("/file.bin"), to: "late", in: folder).finish()
      #expect(try sha256(late.path, in: folder) == expected)
      #expect(late.rejected == 0)
      #expect(late.from_peers > 0)
    }

    /// All of one site complain: only the origin's own question convicts, and it is asked until it is
    /// answered.
    @Test func aCorrupterAtItsUploadLimitIsAskedAgain() throws {
      let folder = try Folder()
      try folder.directory("root")
      let bytes = try folder.writeSample("root/file.bin", byteCount: 2 << 20, seed: 12)
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
      let corrupter = try CorruptPeer(serving: bytes, refusalCount: 4)
      defer { corrupter.close() }
      try corrupter.announce(to: origin)
      let report = try Download(origin.url("/file.bin"), to: "copy", in: folder).finish()
      #expect(report.rejected > 0)
      try eventually("the corrupter is convicted") {
        // Who is silent for long is no longer in the table.
        try corrupter.announce(to: origin)
        return try origin.metric("spate_peers_suspended") == 1
      }
    }
  }
}
