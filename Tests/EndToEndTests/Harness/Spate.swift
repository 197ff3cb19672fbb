import Content
import Digests
import Foundation
import Glibc

enum Spate {
  /// The program under test: the one that was built with these tests, or `SPATE_BINARY`.
  static let path: String = {
    if let named = ProcessInfo.processInfo.environment["SPATE_BINARY"] { return named }
    let bundle = URL(filePath: CommandLine.arguments[0])
    return bundle.deletingLastPathComponent().appending(path: "spate").path
  }()

  static func run(
    _ arguments: [String], in folder: Folder, directory: String? = nil
  ) throws -> (exit: RunningProgram.Exit, output: String, errorOutput: String) {
    try EndToEndTests.run(path, arguments, in: folder, directory: directory)
  }
}

/// A `spate origin` or `spate peer` that listens.
class ServerProgram {
  let program: RunningProgram
  /// In the order of its lines.
  let ports: [UInt16]
  var port: UInt16 { ports[0] }

  /// - Parameter wrapper: a program, with arguments, that runs this one.
  init(
    _ arguments: [String], sockets: Int, wrapper: [String] = [], in folder: Folder
  ) throws {
    let words = wrapper + [Spate.path] + arguments
    let program = try RunningProgram(words[0], Array(words.dropFirst()), in: folder)
    var ports: [UInt16] = []
    try eventually("\(arguments) listens: \(program.errorOutput)") {
      let lines = program.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      ports = lines.compactMap { line in
        line.hasPrefix("listening on ")
          ? line.split(separator: ":").last.flatMap { UInt16($0) } : nil
      }
      guard program.poll() == nil else {
        throw Failure("\(arguments) ended at once: \(program.errorOutput)")
      }
      return ports.count >= sockets
    }
    self.program = program
    self.ports = ports
  }

  func ask(
    _ path: String, _ fields: [String] = [], method: String = "GET", at port: UInt16? = nil
  ) throws -> Response {
    let connection = try Connection(port: port ?? self.port)
    let lines = ["\(method) \(path) HTTP/1.1", "Host: localhost"] + fields + ["", ""]
    connection.send(lines.joined(separator: "\r\n"))
    return try connection.receive(isHead: method == "HEAD")
  }

  /// The value of a counter or gauge without labels.
  func metric(_ name: String) throws -> Int {
    for line in try ask("/-/metrics").text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.first == name[...], let value = words.last.flatMap({ Double($0) }) {
        return Int(value)
      }
    }
    throw Failure("no metric \(name)")
  }

  func terminate() throws -> RunningProgram.Exit {
    program.send(SIGTERM)
    return try program.wait()
  }
}

final class Origin: ServerProgram {
  init(
    _ root: String, _ arguments: [String] = [], state: String = "state",
    listen: String = "127.0.0.1:0", wrapper: [String] = [], in folder: Folder
  ) throws {
    try super.init(
      ["origin", root, "--listen", listen, "--state", folder[state], "--loops", "2"] + arguments,
      sockets: 1, wrapper: wrapper, in: folder)
  }

  func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

  var sentContentByteCount: Int { get throws { try metric("spate_sent_content_bytes_total") } }

  /// Waits until the file has digests.
  @discardableResult
  func manifest(_ path: String) throws -> [String: Any] {
    var answer: [String: Any] = [:]
    try eventually("the manifest of \(path)") {
      let response = try ask("/-/manifest\(path)")
      guard response.status == 200 else {
        guard response.status == 503 else { throw Failure("\(response.status): \(response.text)") }
        return false
      }
      answer = try response.json()
      return true
    }
    return answer
  }

  func referral(_ id: String) throws -> String {
    try ask("/-/referral/\(id)", ["Accept: application/json"]).text
  }
}

final class Peer: ServerProgram {
  /// The gateway's line comes last.
  var gatewayPort: UInt16 { ports[1] }

  init(
    of originURL: String, cache: String, _ arguments: [String] = [], in folder: Folder
  ) throws {
    let fixed = [
      "peer", "--origin", originURL, "--cache", folder[cache], "--listen", "127.0.0.1:0",
      "--gateway", "127.0.0.1:0",
    ]
    try super.init(fixed + arguments, sockets: 2, in: folder)
  }

  func url(_ path: String) -> String { "http://127.0.0.1:\(gatewayPort)\(path)" }

  func fetch(_ path: String, _ fields: [String] = []) throws -> Response {
    try ask(path, fields, at: gatewayPort)
  }
}

/// One `spate get --json`.
struct Download {
  let program: RunningProgram
  let path: String

  /// Writes to `name` in the folder.
  init(_ url: String, to name: String, _ arguments: [String] = [], in folder: Folder) throws {
    path = folder[name]
    program = try RunningProgram(
      Spate.path, ["get", url, "-o", path, "--json"] + arguments, in: folder)
  }

  struct Report: Decodable {
    let path: String
    let bytes: Int
    let seconds: Double
    let sha256: String
    let from_origin: Int
    let from_peers: Int
    let rejected: Int
  }

  /// Waits for the end, which has to be a good one.
  func finish() throws -> Report {
    let exit = try program.wait()
    guard exit == .code(0) else { throw Failure("get: \(exit) \(program.errorOutput)") }
    return try report()
  }

  /// Waits until the file is there; the program may go on serving.
  func complete() throws -> Report {
    try eventually(within: 120, "a download: \(program.errorOutput)") {
      guard program.output.hasSuffix("\n") || program.poll() == nil else {
        throw Failure("get: \(program.errorOutput)")
      }
      return program.output.hasSuffix("\n")
    }
    return try report()
  }

  private func report() throws -> Report {
    try JSONDecoder().decode(Report.self, from: Data(program.output.utf8))
  }
}

/// As `sha256sum` prints it.
func sha256(_ path: String, in folder: Folder) throws -> String {
  let result = try run("sha256sum", [path], in: folder)
  guard result.exit == .code(0) else { throw Failure(result.errorOutput) }
  return String(result.output.prefix(64))
}

/// The root of BEP 52's tree, straight from its text: leaves of 16 KiB, zeros up to a power of two.
func packageID(of bytes: [UInt8]) -> String {
  func digest(_ parts: [UInt8]...) -> [UInt8] {
    var stream = SHA256Stream()
    for part in parts { part.withUnsafeBytes { stream.update($0) } }
    return stream.finish().bytes
  }
  var layer = stride(from: 0, to: bytes.count, by: 16_384).map {
    digest(Array(bytes[$0..<min($0 + 16_384, bytes.count)]))
  }
  guard !layer.isEmpty else { return String(repeating: "0", count: 64) }
  while layer.count & (layer.count - 1) != 0 { layer.append([UInt8](repeating: 0, count: 32)) }
  while layer.count > 1 {
    layer = stride(from: 0, to: layer.count, by: 2).map { digest(layer[$0], layer[$0 + 1]) }
  }
  return layer[0].map { String(format: "%02x", $0) }.joined()
}
