package import Content
import DequeModule
import Posix
package import Reactor
package import Transport
package import Wire

/// One client's conversation with a server: writes requests, several ahead when asked to, and
/// hands the responses to their receivers in order.
///
/// Lives on its loop, keeps itself alive until its stream has closed, and never reconnects: whoever
/// wants another connection makes one.
package final class ClientConnection: StreamHandler {
  /// Without a byte for this long while connecting, the server counts as unreachable.
  package static let connectTimeout = Duration.seconds(5)

  package let endpoint: Endpoint
  package private(set) var isOpen = true
  /// It has answered before: when it fails now, it may only have been idle for too long.
  package private(set) var hasAnswered = false

  private struct Request {
    let receiver: any ResponseReceiver
    let method: Wire.Method
    let silenceMax: Duration
  }

  private let loop: EventLoop
  private let host: String
  private let stream: Stream
  private var machine = StateMachine()
  private var requests = Deque<Request>()
  private var scanner = HeadScanner(.response)
  private var chunks = ChunkedDecoder(fault: .badGateway)
  private var remainder: [UInt8] = []
  private var timer: Timer?
  private var gathering = ReadGathering()
  private var quietTimer: Timer?
  private var isPaused = false
  private var failure: RequestFailure?
  private var selfUntilClosed: ClientConnection?
  private var scratch: [UInt8] = []

  /// - Parameter host: the value of `Host`, as the URL names the server.
  package init(
    _ loop: EventLoop, to endpoint: Endpoint, host: String, tls: TLSClient? = nil,
    expecting fingerprint: TLSFingerprint? = nil
  ) {
    self.loop = loop
    self.endpoint = endpoint
    self.host = host
    precondition(fingerprint == nil || tls != nil, "a certificate is expected of TLS only")
    stream = Stream.connect(
      loop, to: endpoint, tls: tls, serverName: Self.serverName(of: host),
      expecting: fingerprint)
    stream.handler = self
    selfUntilClosed = self
    timer = Timer(loop) { [unowned self] in self.fail(.timedOut) }
    timer?.schedule(after: Self.connectTimeout)
    quietTimer = Timer(loop) { [unowned self] in self.tellKernel(self.gathering.becameQuiet()) }
  }

  deinit { stream.handler = nil }

  /// Requests sent and not answered to the end.
  package var outstandingCount: Int { requests.count }

  /// Another request may be sent on it.
  package var isUsable: Bool { isOpen && machine.keepsAlive }

  /// Sends a request behind those already waiting.
  /// - Parameters:
  ///   - target: in origin-form: a path, perhaps with a query.
  ///   - silenceMax: how long the server may send nothing while this request waits at the front.
  ///   - receiver: kept until its response ended or failed.
  package func send(
    _ method: Wire.Method, _ target: String, body: [UInt8]? = nil, silenceMax: Duration,
    receiver: any ResponseReceiver, fields: (inout [UInt8]) -> Void = { _ in }
  ) {
    guard isUsable else {
      return loop.atEndOfTurn {
        receiver.responseFailed(.connection("connection closed"), on: self)
      }
    }
    scratch.removeAll(keepingCapacity: true)
    HeadWriter.startRequest(method, target: target, authority: host, to: &scratch)
    HeadWriter.field(.userAgent, Self.agent, to: &scratch)
    if let body { HeadWriter.field(.contentLength, body.count, to: &scratch) }
    fields(&scratch)
    HeadWriter.end(to: &scratch)
    scratch.withUnsafeBytes { stream.send($0) }
    if let body { stream.send(body) }
    requests.append(Request(receiver: receiver, method: method, silenceMax: silenceMax))
    if requests.count == 1 { watchSilence() }
  }

  /// Ends the connection; what was asked and not answered fails as `cancelled`.
  package func close() { fail(.cancelled) }

  package func pauseReading() {
    isPaused = true
    timer?.cancel()
    stream.pauseReading()
  }

  package func resumeReading() {
    isPaused = false
    watchSilence()
    stream.resumeReading()
  }

  /// The name in an authority, without its port and without the brackets of a literal address.
  static func serverName(of authority: String) -> String {
    if authority.hasPrefix("[") {
      return String(authority.dropFirst().prefix { $0 != "]" })
    }
    return String(authority.prefix { $0 != ":" })
  }

  private static let agent = Array("spate".utf8)

  private func fail(_ reason: RequestFailure) {
    guard isOpen else { return }
    failure = failure ?? reason
    stream.close()
  }

  private func watchSilence() {
    // Silence that we asked for is not the server's.
    guard !isPaused else { return }
    if let first = requests.first {
      if machine.state != .connecting { timer?.schedule(after: first.silenceMax) }
    } else {
      timer?.cancel()
    }
  }

  // MARK: Stream events

  package func streamDidConnect(_ stream: Stream) {
    machine.connected()
    timer?.cancel()
    watchSilence()
  }

  package func streamDidDrain(_ stream: Stream) {}

  package func streamIsReadable(_ stream: Stream) {
    guard isOpen else { return }
    watchSilence()
    if case .receivingLength(let remaining) = machine.state, let request = requests.first,
      let offered = request.receiver.responseBuffer()
    {
      let target = UnsafeMutableRawBufferPointer(
        rebasing: offered[..<min(offered.count, remaining)])
      let outcome = stream.read(into: target)
      guard case .bytes(let count) = outcome else { return receivedNothing(outcome) }
      receivedBody(UnsafeRawBufferPointer(rebasing: target[..<count]))
      gather(missing: target.count > count ? target.count - count : machine.bodyByteCountLeft)
    } else {
      let kept = remainder.count
      remainder.withUnsafeBytes { loop.readBuffer.copyMemory(from: $0) }
      let outcome = stream.read(
        into: UnsafeMutableRawBufferPointer(rebasing: loop.readBuffer[kept...]))
      guard case .bytes(let count) = outcome else { return receivedNothing(outcome) }
      remainder = []
      consume(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<(kept + count)]))
      gather(missing: 0)
    }
  }

  private func gather(missing: Int) {
    guard isOpen, !stream.isTLS else { return }
    tellKernel(gathering.read(missing: missing))
    if gathering.byteCount > 1 { quietTimer?.schedule(after: ReadGathering.waitMax) }
  }

  private func tellKernel(_ byteCount: Int?) {
    if let byteCount { stream.setReadableByteCountMin(byteCount) }
  }

  package func streamDidClose(_ stream: Stream, _ reason: CloseReason) {
    guard isOpen else { return }
    isOpen = false
    timer?.cancel()
    quietTimer?.cancel()
    let why = failure ?? Self.failure(reason, "\(endpoint): \(reason)", in: machine.state)
    machine.closed()
    while let request = requests.popFirst() { request.receiver.responseFailed(why, on: self) }
    loop.bury(self)
    selfUntilClosed = nil
  }

  private static func failure(
    _ reason: CloseReason, _ text: String, in state: StateMachine.State
  ) -> RequestFailure {
    switch reason {
    case .failed(let error) where state == .connecting && error.isUnreachable: .unreachable(text)
    case .tls where state == .connecting: .unreachable(text)
    case .failed, .tls, .local, .remoteClosed, .fileTooShort: .connection(text)
    }
  }

  // MARK: Input

  private func receivedNothing(_ outcome: ReadOutcome) {
    switch outcome {
    case .bytes, .wouldBlock: break
    case .end:
      if machine.endedInput() == .endResponse { endResponse() }
      fail(.connection("\(endpoint): the server closed the connection"))
    case .failed(let error):
      fail(.connection("\(endpoint): \(error)"))
    }
  }

  private func consume(_ bytes: UnsafeRawBufferPointer) {
    var offset = 0
    while offset < bytes.count, isOpen {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      do throws(WireError) {
        guard let used = try consumeSome(rest) else {
          remainder = Array(rest)
          return
        }
        offset += used
      } catch {
        return fail(.malformed(error.reason))
      }
    }
  }

  /// How many bytes were used, nil when more are needed to go on.
  private func consumeSome(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    switch machine.state {
    case .awaitingHead:
      return try consumeHead(bytes)
    case .receivingLength:
      let count = machine.bodyShare(of: bytes.count)
      deliver(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
      return count
    case .receivingChunks:
      return try consumeChunks(bytes)
    case .receivingUntilClose:
      requests.first?.receiver.responseReceived(bytes, on: self)
      return bytes.count
    case .connecting, .closed:
      return bytes.count
    }
  }

  private func consumeChunks(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int {
    let span = bytes.bindMemory(to: UInt8.self).span
    var position = 0
    while isOpen {
      switch try chunks.next(span, at: &position) {
      case .body(let range):
        requests.first?.receiver.responseReceived(
          UnsafeRawBufferPointer(rebasing: bytes[range]), on: self)
      case .needsMore:
        return position
      case .end(let end):
        machine.receivedLastChunk()
        endResponse()
        return end
      }
    }
    return bytes.count
  }

  private func consumeHead(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    guard let request = requests.first else {
      throw WireError(.badGateway, "bytes nobody asked for")
    }
    let span = bytes.bindMemory(to: UInt8.self).span
    guard let count = try scanner.scan(span) else { return nil }
    scanner.reset()
    let headBytes = span.extracting(0..<count)
    let head = try ResponseHead(headBytes)
    let framing = head.bodyFraming(forMethod: request.method)
    switch machine.receivedHead(head, framing: framing) {
    case .ignore: break
    case .receiveBody:
      chunks = ChunkedDecoder(fault: .badGateway)
      request.receiver.responseBegan(head, bytes: headBytes, on: self)
    case .endResponse:
      request.receiver.responseBegan(head, bytes: headBytes, on: self)
      endResponse()
    }
    return count
  }

  /// Body bytes that arrived in the loop's buffer: into the receiver's own when it offers one.
  private func deliver(_ bytes: UnsafeRawBufferPointer) {
    var offset = 0
    while offset < bytes.count, isOpen, let request = requests.first {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      if let offered = request.receiver.responseBuffer() {
        let count = min(offered.count, rest.count)
        offered.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
        receivedBody(UnsafeRawBufferPointer(rebasing: offered[..<count]))
        offset += count
      } else {
        receivedBody(rest)
        offset = bytes.count
      }
    }
  }

  private func receivedBody(_ bytes: UnsafeRawBufferPointer) {
    let isComplete = machine.receivedBody(bytes.count)
    requests.first?.receiver.responseReceived(bytes, on: self)
    if isComplete, isOpen { endResponse() }
  }

  private func endResponse() {
    guard isOpen, let request = requests.popFirst() else { return }
    hasAnswered = true
    watchSilence()
    request.receiver.responseEnded(on: self)
    if !machine.keepsAlive, isOpen {
      fail(.connection("\(endpoint): the server closes the connection"))
    }
  }
}
