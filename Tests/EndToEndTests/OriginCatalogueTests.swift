import Content
import Foundation
import Glibc
import Testing
import Wire

extension EndToEnd {
  /// Digests, packages and trees of a running origin.
  @Suite struct OriginCatalogueTests {
    static let byteCount = 1 << 20

    let folder: Folder
    let bytes: [UInt8]

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      bytes = try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 16)
    }

    @Test func aReplacedFileIsNoticed() throws {
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
      let old = try origin.ask("/file.bin")
      #expect(old.body == bytes)
      let changed = try folder.writeSample("new", byteCount: 2 << 20, seed: 17)
      #expect(rename(folder["new"], folder["root/file.bin"]) == 0)
      try eventually("the new file is served") {
        let answer = try origin.ask("/file.bin")
        #expect(answer.body == (answer["etag"] == old["etag"] ? bytes : changed))
        return answer["etag"] != old["etag"]
      }
      try eventually("and known") {
        let answer = try origin.ask("/-/manifest/file.bin")
        guard answer.status == 200 else { return false }
        return try answer.json()["id"] as? String == packageID(of: changed)
      }
      let report = try Download(origin.url("/file.bin"), to: "copy", in: folder).finish()
      #expect(report.bytes == changed.count)
      #expect(try folder.bytes(of: "copy") == changed)
      try eventually("every loop has noticed") {
        try (0..<20).allSatisfy { _ in
          try origin.ask("/file.bin", ["If-Match: \(old["etag"] ?? "")"]).status == 412
        }
      }
    }

    @Test func aRestartHashesNothingAgain() throws {
      let first = try Origin(folder["root"], in: folder)
      try first.manifest("/file.bin")
      #expect(try first.metric("spate_catalogue_hashed_files_total") == 1)
      #expect(try first.terminate() == .code(0))
      let second = try Origin(folder["root"], in: folder)
      #expect(try second.manifest("/file.bin")["id"] as? String == packageID(of: bytes))
      #expect(try second.metric("spate_catalogue_hashed_files_total") == 0)
      second.program.send(SIGKILL)
      _ = try second.program.wait()
      let third = try Origin(folder["root"], in: folder)
      try third.manifest("/file.bin")
      #expect(try third.metric("spate_catalogue_hashed_files_total") == 0)
    }

    @Test func aManifestSaysWhatThePackageIs() throws {
      let origin = try Origin(folder["root"], ["--publisher", "a publisher"], in: folder)
      let manifest = try origin.manifest("/file.bin")
      let md5 = try run("md5sum", [folder["root/file.bin"]], in: folder).output.prefix(32)
      #expect(manifest["name"] as? String == "file.bin")
      #expect(manifest["id"] as? String == packageID(of: bytes))
      #expect(manifest["size"] as? Int == Self.byteCount)
      #expect(manifest["piece_length"] as? Int == 65_536)
      #expect(try manifest["sha256"] as? String == sha256(folder["root/file.bin"], in: folder))
      #expect(manifest["md5"] as? String == String(md5))
      #expect(manifest["publisher"] as? String == "a publisher")
      #expect(manifest["path"] as? String == "/file.bin")
      let status = try FileManager.default.attributesOfItem(atPath: folder["root/file.bin"])
      let modified = try #require(status[.modificationDate] as? Date)
      #expect(manifest["modified"] as? Int == Int(modified.timeIntervalSince1970.rounded(.down)))
      #expect(try origin.ask("/-/manifest/missing").status == 404)
      // The digests are told with the file too.
      let head = try origin.ask("/file.bin", method: "HEAD")
      let digest = try #require(Data(hexadecimal: manifest["sha256"] as? String ?? ""))
      #expect(head["repr-digest"] == "sha-256=:\(digest.base64EncodedString()):")
      #expect(head["digest"] == "SHA-256=\(digest.base64EncodedString())")
    }

    @Test func aPackageIsItsBytes() throws {
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
      let id = packageID(of: bytes)
      #expect(try origin.ask("/-/package/\(id)").body == bytes)
      let part = try origin.ask("/-/package/\(id)", ["Range: bytes=65536-131071"])
      #expect(part.status == 206)
      #expect(part.body == Array(bytes[65_536..<131_072]))
      #expect(try origin.ask("/-/package/\(String(repeating: "1", count: 64))").status == 404)
      #expect(try [400, 404].contains(origin.ask("/-/package/xyz").status))
      let peer = try Peer(of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      #expect(try peer.ask("/-/package/\(id)").status == 404)
      #expect(try peer.fetch("/file.bin").body == bytes)
      #expect(try peer.ask("/-/package/\(id)").body == bytes)
    }

    @Test func aTreeProvesItself() throws {
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
      let id = packageID(of: bytes)
      let peer = try Peer(of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      #expect(try peer.fetch("/file.bin").body == bytes)
      for server in [origin, peer] as [ServerProgram] {
        // Pieces of 64 KiB are nodes of layer 2.
        let answer = try server.ask("/-/tree/\(id)?layer=2&first=0&width=16")
        #expect(answer.status == 200)
        let shape = try #require(Geometry(byteCount: Self.byteCount)).tree
        let slice = try #require(TreeSlice(shape: shape, layer: 2, first: 0, width: 16))
        let message = try TreeMessage.decode(answer.body.span, for: slice)
        #expect(message.nodes.count == 16)
        for (index, node) in message.nodes.enumerated() {
          let piece = Array(bytes[index * 65_536..<(index + 1) * 65_536])
          #expect(node.hex == packageID(of: piece))
        }
        #expect(try server.ask("/-/tree/\(id)?layer=2").status == 400)
        #expect(
          try [400, 404].contains(server.ask("/-/tree/\(id)?layer=9&first=9&width=16").status))
      }
    }

    @Test func statusReferralAndHealthAreDocuments() throws {
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
      let id = packageID(of: bytes)
      let peer = try Peer(of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      #expect(try peer.fetch("/file.bin").body == bytes)
      let status = try origin.ask("/-/status").json()
      #expect(status["role"] as? String == "origin")
      #expect(status["sent_content_bytes"] as? Int == Self.byteCount)
      let packages = try #require(status["packages"] as? [[String: Any]])
      #expect(packages.contains { $0["id"] as? String == id })
      let tracker = try #require(status["tracker"] as? [String: Any])
      #expect(tracker["peers"] as? Int == 1)
      for state in ["away", "down", "suspended", "demoted", "slow", "busy"] {
        #expect(tracker["\(state)_peers"] as? Int == 0)
      }
      let own = try peer.ask("/-/status").json()
      let held = try #require(own["packages"] as? [[String: Any]])
      #expect(held.contains { $0["id"] as? String == id })
      try eventually("the peer is referred to") {
        let referral = try origin.ask(
          "/-/referral/\(id)", ["Accept: application/json"]
        ).json()
        let packages = try #require(referral["packages"] as? [[String: Any]])
        let sources = try #require(packages.first?["sources"] as? [[String: Any]])
        #expect(sources.contains { $0["is_origin"] as? Bool == true })
        return sources.contains { $0["endpoint"] as? String == "127.0.0.1:\(peer.port)" }
      }
      let binary = try origin.ask("/-/referral/\(id)")
      let referral = try Referral.decode(binary.body.span)
      #expect(referral.packages.first?.package.hex == id)
      #expect(try origin.ask("/-/health").text.hasPrefix("ok"))
      #expect(try origin.ask("/-/nothing").status == 404)
      // Every line of the metrics is a comment or a sample.
      let sample = /[a-z_]+(\{[^}]*\})? [-+0-9.eE]+|[a-z_]+(\{[^}]*\})? (NaN|\+Inf)/
      for server in [origin, peer] as [ServerProgram] {
        let text = try server.ask("/-/metrics").text
        #expect(text.contains("spate_sent_content_bytes_total"))
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
          #expect(line.wholeMatch(of: sample) != nil, "\(line)")
        }
      }
      // A peer that leaves is forgotten at once.
      #expect(try peer.terminate() == .code(0))
      #expect(try !origin.referral(id).contains("127.0.0.1:\(peer.port)"))
      #expect(try origin.terminate() == .code(0))
    }
  }
}

extension Data {
  fileprivate init?(hexadecimal text: String) {
    let digits = Array(text)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for place in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(digits[place...place + 1]), radix: 16) else { return nil }
      bytes.append(byte)
    }
    self.init(bytes)
  }
}
