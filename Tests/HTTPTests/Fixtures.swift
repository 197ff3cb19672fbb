import Content
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Transport
import Wire

/// A server and whatever talks to it, all on one loop that the test turns itself.
final class Exchange {
  let loop: EventLoop
  let responder: Responder
  let server: Server
  let endpoint: Endpoint

  init(
    limits: ServerLimits = ServerLimits(),
    _ answer: @escaping (Responder, Request, ServerConnection) -> Void = Responder.echo
  ) throws {
    loop = try EventLoop()
    responder = Responder(answer)
    server = Server(loop, handler: responder, limits: limits)
    endpoint = try server.listen(on: Endpoint(address: .loopback, port: 0))
  }

  /// What a client gets that sends `bytes`, in these parts, one a turn, and then ends its side.
  func reply(to parts: [[UInt8]], endsInput: Bool = true) throws -> String {
    let client = try RawClient(loop, endpoint)
    for part in parts {
      client.send(part)
      loop.turn(waits: false)
    }
    if endsInput { client.endInput() }
    run { client.isOver }
    return client.text
  }

  func reply(to text: String, endsInput: Bool = false) throws -> String {
    try reply(to: [Array(text.utf8)], endsInput: endsInput)
  }

  /// Turns the loop until the condition holds; a loop that stands still for long fails the test.
  func run(until condition: () -> Bool, _ location: SourceLocation = #_sourceLocation) {
    var isLate = false
    let watchdog = Timer(loop) { isLate = true }
    watchdog.schedule(after: .seconds(60))
    while !condition(), !isLate { loop.turn(waits: true) }
    #expect(!isLate, "nothing happened for too long", sourceLocation: location)
  }
}

struct Request {
  let method: Wire.Method
  let path: String
  let body: [UInt8]
  let head: RequestHead
  let bytes: [UInt8]
}

/// Answers with what a test says, and remembers what it was asked.
final class Responder: RequestHandler {
  var requests: [Request] = []
  var bodyByteCountMax = 1_000
  private let answer: (Responder, Request, ServerConnection) -> Void

  init(_ answer: @escaping (Responder, Request, ServerConnection) -> Void) {
    self.answer = answer
  }

  func bodyByteCountMax(of head: RequestHead, bytes: Span<UInt8>) -> Int { bodyByteCountMax }

  func handle(
    _ head: RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, on connection: ServerConnection
  ) {
    let all = (0..<bytes.count).map { bytes[$0] }
    let request = Request(
      method: head.method, path: String(decoding: all[head.path], as: UTF8.self),
      body: body.withUnsafeBufferPointer { Array($0) },
      head: head, bytes: all)
    requests.append(request)
    do throws(WireError) {
      _ = try RequestTarget(bytes, head.path)
    } catch {
      return connection.respondText(error.status, error.reason, endsConnection: true)
    }
    answer(self, request, connection)
  }

  /// The path and the body, back.
  static func echo(_ responder: Responder, _ request: Request, _ connection: ServerConnection) {
    connection.respond(.ok, body: .bytes(Array(request.path.utf8) + request.body))
  }
}

/// A client that knows nothing of HTTP, nor of streams: sends bytes, keeps what comes, may end its
/// own side and still read.
final class RawClient: WatchHandler {
  private(set) var received: [UInt8] = []
  /// The other side ended or broke the connection.
  private(set) var isOver = false
  private let loop: EventLoop
  private var socket: Socket
  private var unsent: [UInt8] = []
  private var endsInput = false
  private var readWatch: Watch?
  private var writeWatch: Watch?

  init(_ loop: EventLoop, _ endpoint: Endpoint) throws {
    self.loop = loop
    socket = try Socket.connecting(to: endpoint)
    readWatch = Watch(loop, socket.rawDescriptor, .read, handler: self)
    writeWatch = Watch(loop, socket.rawDescriptor, .write, handler: self)
    readWatch?.turnOn()
  }

  deinit {
    readWatch = nil
    writeWatch = nil
  }

  var text: String { String(decoding: received, as: UTF8.self) }

  func send(_ text: String) { send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) {
    unsent += bytes
    flush()
  }

  /// Ends its own side once everything is sent.
  func endInput() {
    endsInput = true
    flush()
  }

  func stopReading() { readWatch?.turnOff() }

  func close() {
    readWatch?.turnOff()
    writeWatch?.turnOff()
    readWatch = nil
    writeWatch = nil
    socket.close()
  }

  func watchIsReady(_ direction: Watch.Direction) {
    if direction == .write { return flush() }
    switch socket.receive(into: loop.readBuffer) {
    case .bytes(let count): received += loop.readBuffer[..<count]
    case .wouldBlock: break
    case .end, .failed:
      isOver = true
      readWatch?.turnOff()
    }
  }

  private func flush() {
    if !unsent.isEmpty {
      let outcome = unsent.withUnsafeBytes { socket.send($0, moreFollows: false) }
      switch outcome {
      case .bytes(let count): unsent.removeFirst(count)
      case .wouldBlock: break
      case .failed: unsent = []
      }
    }
    if !unsent.isEmpty {
      writeWatch?.turnOn()
      return
    }
    writeWatch?.turnOff()
    if endsInput { _ = socket.shutdownSending() }
  }
}

/// Collects one response of a `ClientConnection`.
final class Collector: ResponseReceiver {
  private(set) var status: Status?
  private(set) var fields: [FieldName: String] = [:]
  private(set) var body: [UInt8] = []
  private(set) var isComplete = false
  private(set) var failure: RequestFailure?
  var offered: UnsafeMutableRawBufferPointer?

  deinit { offered?.deallocate() }

  var isOver: Bool { isComplete || failure != nil }
  var bodyText: String { String(decoding: body, as: UTF8.self) }

  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection) {
    status = head.status
    for name in FieldName.allCases { fields[name] = head.value(of: name, in: bytes) }
  }

  func responseBuffer() -> UnsafeMutableRawBufferPointer? { offered }

  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {
    body += bytes
  }

  func responseEnded(on connection: ClientConnection) { isComplete = true }

  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) {
    self.failure = failure
  }
}

final class TemporaryFile {
  let path: String
  let file: OpenFile
  let bytes: [UInt8]

  init(byteCount: Int) throws {
    // Words that differ at every place one could confuse with another.
    bytes = [UInt8](unsafeUninitializedCapacity: byteCount + 8) { buffer, count in
      let target = UnsafeMutableRawBufferPointer(buffer)
      var state: UInt64 = 1
      for offset in stride(from: 0, to: byteCount, by: 8) {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        target.storeBytes(of: state ^ state >> 33, toByteOffset: offset, as: UInt64.self)
      }
      count = byteCount
    }
    path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
    try Data(bytes).write(to: URL(filePath: path))
    file = try OpenFile(path: path)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var representation: Representation {
    Representation(
      byteCount: bytes.count, etag: Array("\"tag\"".utf8), modified: 784_111_777,
      contentType: Array("text/plain".utf8))
  }
}

/// The status codes of the responses in `text`, in order.
func statusCodes(in text: String) -> [Int] {
  text.components(separatedBy: "HTTP/1.1 ").dropFirst().compactMap { Int($0.prefix(3)) }
}
