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
  func reply(to parts: [[UInt8]], endsInput: Bool = true) -> String {
    let client = RawClient(loop, endpoint)
    for part in parts {
      client.stream.send(part)
      client.stream.flush()
      loop.turn(waits: false)
    }
    if endsInput { client.stream.shutdownAfterDrain() }
    run { client.isOver }
    return client.text
  }

  func reply(to text: String, endsInput: Bool = false) -> String {
    reply(to: [Array(text.utf8)], endsInput: endsInput)
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
    _ head: RequestHead, bytes: Span<UInt8>, body: [UInt8], on connection: ServerConnection
  ) {
    let all = (0..<bytes.count).map { bytes[$0] }
    let request = Request(
      method: head.method, path: String(decoding: all[head.path], as: UTF8.self), body: body,
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

/// A client that knows nothing of HTTP: sends bytes, keeps what comes.
final class RawClient: StreamHandler {
  let stream: Transport.Stream
  private(set) var received: [UInt8] = []
  private(set) var isOver = false

  init(_ loop: EventLoop, _ endpoint: Endpoint) {
    stream = .connect(loop, to: endpoint)
    stream.handler = self
  }

  var text: String { String(decoding: received, as: UTF8.self) }
  func send(_ text: String) { stream.send(Array(text.utf8)) }

  func streamDidConnect(_ stream: Transport.Stream) {}
  func streamDidDrain(_ stream: Transport.Stream) {}

  func streamIsReadable(_ stream: Transport.Stream) {
    switch stream.read(into: stream.loop.readBuffer) {
    case .bytes(let count): received += stream.loop.readBuffer[..<count]
    case .end: isOver = true
    case .wouldBlock, .failed: break
    }
  }

  func streamDidClose(_ stream: Transport.Stream, _ reason: CloseReason) { isOver = true }
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
    var state: UInt64 = 1
    bytes = (0..<byteCount).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 33)
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
