import Foundation
import Testing

extension EndToEnd {
  /// Every request of `Tests/Corpus/hostile-requests.txt`, at every server of the program.
  @Suite struct HostileRequestTests {
    struct Case: Sendable {
      let name: String
      let status: Int
      let bytes: [UInt8]
    }

    static let cases: [Case] = {
      let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Corpus/hostile-requests.txt")
      guard let text = try? String(contentsOf: url, encoding: .utf8) else { return [] }
      return text.components(separatedBy: "\n\n").compactMap { block in
        var (name, status, bytes) = ("", 0, [UInt8]())
        for line in block.split(separator: "\n") where !line.hasPrefix("#") {
          if line.hasPrefix("name: ") { name = String(line.dropFirst(6)) }
          if line.hasPrefix("status: ") { status = Int(line.dropFirst(8)) ?? 0 }
          if line.hasPrefix("| ") { bytes += unescaped(line.dropFirst(2)) }
        }
        return name.isEmpty ? nil : Case(name: name, status: status, bytes: bytes)
      }
    }()

    /// The escapes are described in the corpus itself.
    private static func unescaped(_ line: Substring) -> [UInt8] {
      let plain: [Character: UInt8] = ["r": 13, "n": 10, "t": 9, "0": 0, "\\": 92]
      var bytes: [UInt8] = []
      var rest = line
      while let character = rest.popFirst() {
        guard character == "\\", let escape = rest.popFirst() else {
          bytes += Array(String(character).utf8)
          continue
        }
        if let byte = plain[escape] {
          bytes.append(byte)
        } else if escape == "x" {
          bytes.append(UInt8(rest.prefix(2), radix: 16)!)
          rest = rest.dropFirst(2)
        } else {
          let end = rest.firstIndex(of: "}")!
          let count = Int(rest[rest.index(rest.startIndex, offsetBy: 2)..<end])!
          bytes += Array(repeating: rest.first!.asciiValue!, count: count)
          rest = rest[rest.index(after: end)...]
        }
      }
      return bytes
    }

    let folder: Folder
    let origin: Origin

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: 100, seed: 8)
      origin = try Origin(folder["root"], in: folder)
    }

    @Test func theCorpusIsLarge() { #expect(Self.cases.count >= 80) }

    @Test func theOriginRefuses() throws {
      try refuses(at: origin.port)
      #expect(try origin.ask("/-/health").status == 200)
      #expect(try origin.ask("/file.bin").body == folder.bytes(of: "root/file.bin"))
      #expect(try origin.metric("spate_malformed_requests_total") >= Self.cases.count)
    }

    @Test func aPeerRefuses() throws {
      let peer = try Peer(of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      try refuses(at: peer.port)
      try refuses(at: peer.gatewayPort)
      #expect(try peer.ask("/-/health").status == 200)
      #expect(try peer.fetch("/file.bin").body == folder.bytes(of: "root/file.bin"))
    }

    private func refuses(at port: UInt16) throws {
      for item in Self.cases {
        let count = item.bytes.count
        for cut in Set([0, 1, count / 3, count / 2, count - 1]).sorted() {
          let connection = try Connection(port: port, timeout: 20)
          connection.send(item.bytes[..<cut])
          if cut > 0 { try connection.settle() }
          // One that was refused at once does not take the rest.
          connection.send(item.bytes[cut...])
          do {
            let status = try connection.receive().status
            #expect(status == item.status, "\(item.name), cut at \(cut) of \(count)")
            // Where a request ends is in doubt: nothing more is read.
            if status == 400 { #expect(connection.ends(), "\(item.name), cut at \(cut)") }
          } catch {
            Issue.record("\(item.name), cut at \(cut) of \(count): \(error)")
          }
        }
      }
    }
  }
}
