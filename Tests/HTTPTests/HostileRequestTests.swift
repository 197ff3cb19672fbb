import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Transport
import Wire

/// The requests of `Tests/Corpus` that must be refused, over a real socket.
@Suite struct HostileRequestTests {
  struct Case: Sendable {
    let name: String
    let status: Int
    let bytes: [UInt8]
  }

  @Test func theCorpusIsThere() { #expect(Self.cases.count >= 120) }

  @Test func everyHostileRequestIsRefusedAndTheConnectionEnds() throws {
    let exchange = try Exchange()
    for hostile in Self.cases {
      let reply = try exchange.reply(to: [hostile.bytes])
      #expect(statusCodes(in: reply) == [hostile.status], "\(hostile.name)")
    }
    exchange.run { exchange.server.connectionCount == 0 }
  }

  @Test func theSameOneByteATime() throws {
    let exchange = try Exchange()
    for hostile in Self.cases where hostile.bytes.count < 80 {
      let reply = try exchange.reply(to: hostile.bytes.map { [$0] })
      #expect(statusCodes(in: reply) == [hostile.status], "\(hostile.name)")
    }
  }

  static let cases: [Case] = {
    let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Corpus/hostile-requests.txt")
    guard let text = try? String(contentsOf: url, encoding: .utf8) else { return [] }
    return text.components(separatedBy: "\n\n").compactMap { block in
      var name = ""
      var status = 0
      var bytes: [UInt8] = []
      for line in block.split(separator: "\n") where !line.hasPrefix("#") {
        if line.hasPrefix("name: ") { name = String(line.dropFirst(6)) }
        if line.hasPrefix("status: ") { status = Int(line.dropFirst(8)) ?? 0 }
        if line.hasPrefix("| ") { bytes += unescaped(Array(line.utf8.dropFirst(2))) }
      }
      return name.isEmpty ? nil : Case(name: name, status: status, bytes: bytes)
    }
  }()

  /// The escapes that the corpus describes at its top.
  private static func unescaped(_ line: [UInt8]) -> [UInt8] {
    let plain: [UInt8: UInt8] = [
      UInt8(ascii: "r"): 13, UInt8(ascii: "n"): 10, UInt8(ascii: "t"): 9, UInt8(ascii: "0"): 0,
      UInt8(ascii: "\\"): UInt8(ascii: "\\"),
    ]
    var bytes: [UInt8] = []
    var index = 0
    while index < line.count {
      guard line[index] == UInt8(ascii: "\\"), index + 1 < line.count else {
        bytes.append(line[index])
        index += 1
        continue
      }
      let kind = line[index + 1]
      if let byte = plain[kind] {
        bytes.append(byte)
        index += 2
      } else if kind == UInt8(ascii: "x") {
        let digits = String(decoding: line[(index + 2)..<(index + 4)], as: UTF8.self)
        bytes.append(UInt8(digits, radix: 16) ?? 0)
        index += 4
      } else {
        // \{c*N}
        let end = line[index...].firstIndex(of: UInt8(ascii: "}")) ?? line.count
        let count = Int(String(decoding: line[(index + 4)..<end], as: UTF8.self)) ?? 0
        bytes += Array(repeating: line[index + 2], count: count)
        index = end + 1
      }
    }
    return bytes
  }
}
