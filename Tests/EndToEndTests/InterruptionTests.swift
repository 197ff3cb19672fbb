import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// Programs that die or are told to stop in the middle.
  @Suite struct InterruptionTests {
    static let byteCount = 8 << 20
    let folder: Folder
    let origin: Origin
    let expected: String

    init() throws {
      folder = try Folder()
      let root = try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 2)
      expected = try sha256(folder["root/file.bin"], in: folder)
      origin = try Origin(root, in: folder)
      try origin.manifest("/file.bin")
    }

    /// A download through `relay` that has got half of the file, and gets no more.
    private func downloadToHalf(_ relay: Relay, _ name: String) throws -> Download {
      let download = try Download(
        "http://127.0.0.1:\(relay.port)/file.bin", to: name, in: folder)
      try eventually("half of the file arrives") { relay.passedByteCount >= Self.byteCount / 2 }
      // What is announced was verified and written before: it may not be lost.
      try eventually("most of it is announced") {
        try announcedByteCount() >= Self.byteCount * 3 / 8
      }
      #expect(!FileManager.default.fileExists(atPath: download.path))
      return download
    }

    /// What the only peer there is has announced.
    private func announcedByteCount() throws -> Int {
      let id = packageID(of: try folder.bytes(of: "root/file.bin"))
      let referral = try origin.ask(
        "/-/referral/\(id)", ["Accept: application/json"]
      ).json()
      let packages = referral["packages"] as? [[String: Any]]
      let sources = packages?.first?["sources"] as? [[String: Any]] ?? []
      let pieceCount = sources.first { $0["is_origin"] as? Bool == false }?["held_pieces"] as? Int
      return (pieceCount ?? 0) * 65_536
    }

    @Test func aKilledGetGoesOnWhereItWas() throws {
      let relay = try Relay(to: origin.port, allowance: Self.byteCount / 2)
      defer { relay.close() }
      let first = try downloadToHalf(relay, "copy")
      let announced = try announcedByteCount()
      first.program.send(SIGKILL)
      #expect(try first.program.wait() == .signal(SIGKILL))
      let second = try Download(origin.url("/file.bin"), to: "copy", in: folder).finish()
      #expect(second.sha256 == expected)
      #expect(try sha256(second.path, in: folder) == expected)
      #expect(second.from_origin + second.from_peers >= Self.byteCount / 2)
      #expect(second.from_origin + second.from_peers <= Self.byteCount - announced)
    }

    @Test func anInterruptedGetSaysSoAndGoesOn() throws {
      let relay = try Relay(to: origin.port, allowance: Self.byteCount / 2)
      defer { relay.close() }
      let first = try downloadToHalf(relay, "copy")
      let announced = try announcedByteCount()
      first.program.send(SIGINT)
      #expect(try first.program.wait() == .code(130))
      #expect(first.program.errorOutput.contains("interrupted"))
      #expect(first.program.output.isEmpty)
      let second = try Download(origin.url("/file.bin"), to: "copy", in: folder).finish()
      #expect(try sha256(second.path, in: folder) == expected)
      #expect(second.from_origin + second.from_peers <= Self.byteCount - announced)
    }

    /// Peers that hold everything and give it away slowly.
    private func seeds(
      _ count: Int, _ arguments: [String], of other: Origin? = nil
    ) throws -> [Peer] {
      try (0..<count).map { index in
        let peer = try Peer(
          of: "http://127.0.0.1:\((other ?? origin).port)", cache: "cache\(index)", arguments,
          in: folder)
        #expect(try peer.fetch("/file.bin").body.count == Self.byteCount)
        return peer
      }
    }

    @Test func aPeerThatDiesWhileItServesStopsNobody() throws {
      let peers = try seeds(2, ["--upload-rate", "3MB/s"])
      let uploaded = try peers[0].metric("spate_sent_content_bytes_total")
      // The origin sends these little, so that they depend on the peers.
      let relay = try Relay(to: origin.port, allowance: 512 << 10)
      defer { relay.close() }
      let downloads = try (0..<3).map {
        try Download("http://127.0.0.1:\(relay.port)/file.bin", to: "copy\($0)", in: folder)
      }
      try eventually("a peer serves") {
        try peers[0].metric("spate_sent_content_bytes_total") > uploaded
      }
      peers[0].program.send(SIGKILL)
      #expect(try peers[0].program.wait() == .signal(SIGKILL))
      #expect(downloads.allSatisfy { $0.program.poll() == nil })
      relay.open()
      for download in downloads {
        let report = try download.finish()
        #expect(try sha256(report.path, in: folder) == expected)
      }
    }

    @Test func afterOneCopyTheOriginIsNotNeeded() throws {
      _ = try seeds(1, [])
      let copies = try Double(origin.sentContentByteCount) / Double(Self.byteCount)
      #expect(copies >= 1)
      #expect(copies < 1.1)
    }

    @Test func downloadsOutliveTheOrigin() throws {
      // One that does not help against slow peers: what the relay lets through is for referrals.
      let origin = try Origin(
        folder["root"], ["--origin-copies", "1"], state: "frugal", in: folder)
      try origin.manifest("/file.bin")
      let peers = try seeds(2, ["--upload-rate", "4MB/s"], of: origin)
      #expect(try origin.sentContentByteCount >= Self.byteCount)
      let relay = try Relay(to: origin.port, allowance: 256 << 10)
      let downloads = try (0..<3).map {
        try Download("http://127.0.0.1:\(relay.port)/file.bin", to: "copy\($0)", in: folder)
      }
      try eventually("all have registered") { try origin.metric("spate_peers") == 5 }
      origin.program.send(SIGTERM)
      relay.close()
      #expect(try origin.program.wait() == .code(0))
      #expect(downloads.allSatisfy { $0.program.poll() == nil })
      for download in downloads {
        let report = try download.finish()
        #expect(try sha256(report.path, in: folder) == expected)
        #expect(report.from_peers > Self.byteCount / 2)
      }
      withExtendedLifetime(peers) {}
    }

    /// The new tracker hears from everybody what they hold, and nobody begins anew.
    @Test func aKilledTrackerThatComesBackKnowsTheSwarm() throws {
      let killed = try Origin(
        folder["root"], ["--origin-rate", "8MB/s"], state: "slow", in: folder)
      try killed.manifest("/file.bin")
      let downloads = try (0..<4).map {
        try Download(
          killed.url("/file.bin"), to: "copy\($0)", ["--seed-for", "60s"], in: folder)
      }
      try eventually("all have begun, and a third of a copy is out") {
        try killed.metric("spate_peers") == 4
          && killed.sentContentByteCount >= Self.byteCount / 3
      }
      killed.program.send(SIGKILL)
      #expect(try killed.program.wait() == .signal(SIGKILL))
      let next = try Origin(
        folder["root"], ["--origin-rate", "8MB/s"], state: "slow",
        listen: "127.0.0.1:\(killed.port)", in: folder)
      try eventually("the new one knows them all") { try next.metric("spate_peers") == 4 }
      for download in downloads {
        #expect(try download.complete().sha256 == expected)
        #expect(try sha256(download.path, in: folder) == expected)
      }
      #expect(try next.sentContentByteCount < Self.byteCount)
    }

    @Test func theOriginMayGoWhenEachPieceIsOut() throws {
      let downloads = try (0..<5).map {
        try Download(
          origin.url("/file.bin"), to: "copy\($0)", ["--seed-for", "60s"], in: folder)
      }
      try eventually("all have begun, and the origin has sent a copy") {
        try origin.sentContentByteCount >= Self.byteCount && origin.metric("spate_peers") == 5
      }
      #expect(try origin.terminate() == .code(0))
      for download in downloads {
        #expect(try download.complete().sha256 == expected)
        #expect(try sha256(download.path, in: folder) == expected)
      }
      for download in downloads {
        // Only its seeding is cut short.
        download.program.send(SIGTERM)
        #expect(try download.program.wait() == .code(0))
      }
    }
  }
}
