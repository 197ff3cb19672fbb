import Foundation

@testable import Wire

/// A case of one of the files in `Tests/Corpus`, whose form the files themselves describe.
struct CorpusCase: Sendable, CustomStringConvertible {
  let name: String
  let expected: String
  let bytes: [UInt8]

  var description: String { name }

  static let hostile = read("hostile-requests.txt")
  static let valid = read("valid-requests.txt")
  static let responses = read("responses.txt")

  private static func read(_ file: String) -> [CorpusCase] {
    let url = projectFolder.appending(path: "Tests/Corpus/\(file)")
    guard let text = try? String(contentsOf: url, encoding: .utf8) else { return [] }
    return text.components(separatedBy: "\n\n").compactMap { block in
      var name = ""
      var expected = ""
      var bytes: [UInt8] = []
      for line in block.split(separator: "\n") where !line.hasPrefix("#") {
        if line.hasPrefix("name: ") { name = String(line.dropFirst(6)) }
        if line.hasPrefix("status: ") { expected = String(line.dropFirst(8)) }
        if line.hasPrefix("expect: ") { expected = String(line.dropFirst(8)) }
        if line.hasPrefix("| ") { bytes += unescaped(line.dropFirst(2)) }
      }
      return name.isEmpty ? nil : CorpusCase(name: name, expected: expected, bytes: bytes)
    }
  }

  private static func unescaped(_ line: Substring) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Array(line.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        bytes.append(byte)
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "r"): bytes.append(13)
      case UInt8(ascii: "n"): bytes.append(10)
      case UInt8(ascii: "t"): bytes.append(9)
      case UInt8(ascii: "0"): bytes.append(0)
      case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
      case UInt8(ascii: "x"):
        bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
        rest = rest.dropFirst(2)
      case UInt8(ascii: "{"):
        let end = rest.firstIndex(of: UInt8(ascii: "}"))!
        let count = Int(String(decoding: rest[(rest.startIndex + 2)..<end], as: UTF8.self))!
        bytes += Array(repeating: rest.first!, count: count)
        rest = rest[(end + 1)...]
      default: fatalError("an escape that the corpus does not have")
      }
    }
    return bytes
  }
}

let projectFolder = URL(filePath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent()

/// What becomes of a head that arrives in the given parts: the count of its bytes and whatever
/// `read` makes of them, or the refusal.
func outcome(
  _ kind: HeadScanner.Kind, parts: [ArraySlice<UInt8>], read: (ArraySlice<UInt8>) throws -> String
) -> String {
  var scanner = HeadScanner(kind)
  var received: [UInt8] = []
  do {
    for part in parts {
      received += part
      if let count = try scanner.scan(received.span) {
        return "\(count): " + (try read(received[..<count]))
      }
    }
    return "incomplete"
  } catch let error as WireError {
    return "\(error.status.code)"
  } catch {
    return "unexpected \(error)"
  }
}

/// Every way to cut `bytes` in two, and one byte at a time.
func splits(of bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
  let step = max(1, bytes.count / 300)
  var all = stride(from: 1, to: max(bytes.count, 2), by: step).map { [bytes[..<$0], bytes[$0...]] }
  if bytes.count < 1_000 { all.append(bytes.indices.map { bytes[$0...$0] }) }
  return all
}

func describe(_ framing: BodyFraming) -> String {
  switch framing {
  case .none: "none"
  case .length(let count): "length=\(count)"
  case .chunked: "chunked"
  case .untilClose: "untilClose"
  }
}

/// A generator whose seed is printed by whoever draws one, so that a failure can be had again.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    // SplitMix64 (Steele, Lea, Flood 2014).
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
    return word ^ word >> 31
  }
}
