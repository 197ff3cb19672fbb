import Foundation
import Glibc

/// A blocking connection that writes bytes as they are and reads answers by RFC 9112, with nothing
/// of the program under test in it.
final class Connection {
  private let socket: Int32
  private var received: [UInt8] = []

  init(port: UInt16, version6: Bool = false, timeout seconds: Int = 30) throws {
    let family = version6 ? AF_INET6 : AF_INET
    socket = Glibc.socket(
      family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { throw Failure("no socket") }
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    setsockopt(
      socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(
      socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var noDelay: Int32 = 1
    setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, 4)
    let code = version6 ? connect6(port) : connect4(port)
    guard code == 0 else { throw Failure("cannot connect to port \(port): errno \(errno)") }
  }

  /// One that somebody else accepted.
  init(adopting socket: Int32) { self.socket = socket }

  deinit { close(socket) }

  private func connect4(_ port: UInt16) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  private func connect6(_ port: UInt16) -> Int32 {
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    address.sin6_addr = in6addr_loopback
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
      }
    }
  }

  /// False when the other side did not take everything.
  @discardableResult
  func send(_ bytes: some Collection<UInt8>) -> Bool {
    let bytes = Array(bytes)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  @discardableResult
  func send(_ text: String) -> Bool { send(text.utf8) }

  /// Until the other kernel has everything that was sent, so that what follows arrives by itself.
  func settle() throws {
    try eventually("the other side takes what was sent") {
      var unsent: Int32 = 0
      return ioctl(socket, UInt(TIOCOUTQ), &unsent) != 0 || unsent == 0
    }
  }

  /// Reads once; false at the end of the stream, or when it broke.
  func fill() -> Bool {
    var window = [UInt8](repeating: 0, count: 64 * 1024)
    let count = recv(socket, &window, window.count, 0)
    guard count > 0 else { return false }
    received += window[..<count]
    return true
  }

  /// True when the other side ends the stream and sends nothing more before.
  func ends() -> Bool { received.isEmpty && !fill() }

  func take(_ count: Int) throws -> [UInt8] {
    while received.count < count {
      guard fill() else { throw Failure("the stream ended inside an answer") }
    }
    defer { received.removeFirst(count) }
    return Array(received[..<count])
  }

  private func takeLine() throws -> String {
    var searched = 0
    while true {
      if let end = received[searched...].firstIndex(of: 10) {
        let line = try take(end + 1)
        guard line.suffix(2) == [13, 10] else { throw Failure("a line without CR") }
        return String(decoding: line.dropLast(2), as: UTF8.self)
      }
      searched = received.count
      guard fill() else { throw Failure("the stream ended inside a head") }
    }
  }

  /// The lines of the next request's head, which has no body; nil at the end of the stream.
  func receiveRequest() -> [String]? {
    var lines: [String] = []
    while let line = try? takeLine() {
      if line.isEmpty { return lines }
      lines.append(line)
    }
    return nil
  }

  /// The next answer; interim ones are passed over. `isHead` when the request was one.
  func receive(isHead: Bool = false) throws -> Response {
    while true {
      let head = try receiveHead()
      if head.status / 100 == 1 { continue }
      var answer = head
      if isHead || head.status == 204 || head.status == 304 { return answer }
      if head["transfer-encoding"]?.lowercased() == "chunked" {
        answer.body = try receiveChunks()
      } else if let length = head["content-length"] {
        guard let count = Int(length) else { throw Failure("a length of \(length)") }
        answer.body = try take(count)
      } else {
        while fill() {}
        answer.body = try take(received.count)
      }
      return answer
    }
  }

  /// Status line and fields only.
  func receiveHead() throws -> Response {
    let line = try takeLine().split(separator: " ", maxSplits: 2).map(String.init)
    guard line.count >= 2, line[0] == "HTTP/1.1", let status = Int(line[1]) else {
      throw Failure("not a status line: \(line)")
    }
    var fields: [(name: String, value: String)] = []
    while true {
      let line = try takeLine()
      if line.isEmpty { return Response(status: status, fields: fields) }
      guard let colon = line.firstIndex(of: ":") else { throw Failure("not a field: \(line)") }
      fields.append(
        (
          line[..<colon].lowercased(),
          line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        ))
    }
  }

  private func receiveChunks() throws -> [UInt8] {
    var body: [UInt8] = []
    while true {
      let line = try takeLine()
      guard let count = Int(line.prefix { $0 != ";" }, radix: 16) else {
        throw Failure("not a chunk: \(line)")
      }
      if count == 0 { break }
      body += try take(count)
      guard try takeLine().isEmpty else { throw Failure("a chunk of another length") }
    }
    while try !takeLine().isEmpty {}
    return body
  }
}

struct Response {
  let status: Int
  let fields: [(name: String, value: String)]
  var body: [UInt8] = []

  /// The only field of that name; nil when there is none or several.
  subscript(_ name: String) -> String? {
    let values = fields.filter { $0.name == name }
    return values.count == 1 ? values[0].value : nil
  }

  var text: String { String(decoding: body, as: UTF8.self) }

  func json() throws -> [String: Any] {
    guard let object = try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] else {
      throw Failure("not a JSON object: \(text)")
    }
    return object
  }
}
