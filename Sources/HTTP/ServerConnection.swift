package import Content
import Posix
import Reactor
package import Transport
import Wire

/// One client's conversation with a server: reads requests, hands them over in order, writes the
/// responses.
///
/// Lives on its server's loop and belongs to the server until the stream has closed. Owns a buffer
/// only while a head is unfinished or requests wait behind a response.
package final class ServerConnection: StreamHandler {
  package let remote: Endpoint
  package private(set) var isOpen = true

  let server: Server
  let stream: Stream
  var machine = StateMachine()
  var isVersion11 = true
  var observer: (any ResponseObserver)?
  var source: (any BodySource)?
  var observedByteCount = 0
  var usesChunks = false

  private var scanner: HeadScanner
  private var remainder: [UInt8] = []
  private var request: (head: RequestHead, bytes: [UInt8])?
  private var body: [UInt8] = []
  private var bodyByteCountMax = 0
  private var chunks = ChunkedDecoder()
  private var isConsuming = false
  private var timer: Timer?
  private var sentAtLastCheck = 0
  private var headStarted = false

  init(_ stream: Stream, server: Server) {
    self.stream = stream
    self.server = server
    remote = Endpoint(address: stream.remote.address.unmapped, port: stream.remote.port)
    scanner = HeadScanner(.request, limits: server.limits.head)
    stream.handler = self
  }

  /// Response bytes queued and not yet handed to the kernel.
  package var queuedByteCount: Int { stream.queuedByteCount }

  package func close() { stream.close() }

  func start() {
    timer = Timer(server.loop) { [unowned self] in self.deadlinePassed() }
    awaitRequest()
  }

  /// Answers before any request was read: too many connections.
  func refuseBusy() {
    timer = Timer(server.loop) { [unowned self] in self.deadlinePassed() }
    timer?.schedule(after: server.limits.idleTimeoutUnderPressure)
    machine.refused()
    let delay = 1 + Int(stream.remote.port) % 5
    respond(.serviceUnavailable, endsConnection: true) {
      HeadWriter.field(.retryAfter, delay, to: &$0)
    }
  }

  /// Ends the connection as soon as nothing is owed on it.
  func drain() {
    if machine.state == .awaitingHead, stream.queuedByteCount == 0 { stream.close() }
  }

  // MARK: Input

  package func streamIsReadable(_ stream: Stream) {
    guard machine.wantsInput else { return readAhead() }
    let buffer = server.loop.readBuffer
    let kept = remainder.count
    remainder.withUnsafeBytes { buffer.copyMemory(from: $0) }
    switch stream.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[kept...])) {
    case .bytes(let count):
      remainder = []
      consume(UnsafeRawBufferPointer(rebasing: buffer[..<(kept + count)]))
    case .wouldBlock: break
    case .end: inputEnded()
    case .failed: stream.close()
    }
  }

  /// Bytes that arrive while a response is owed: kept up to a limit, then left in the kernel.
  private func readAhead() {
    let room = server.limits.pipelinedByteCountMax - remainder.count
    guard machine.state != .closing, room > 0 else { return stream.pauseReading() }
    let buffer = server.loop.readBuffer
    switch stream.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(room, 16_384)])) {
    case .bytes(let count): remainder += UnsafeRawBufferPointer(rebasing: buffer[..<count])
    case .wouldBlock: break
    case .end: inputEnded()
    case .failed: stream.close()
    }
  }

  private func inputEnded() {
    stream.pauseReading()
    switch machine.endedInput() {
    case .close: stream.close()
    case .finishResponse: break
    }
  }

  private func consume(_ bytes: UnsafeRawBufferPointer) {
    isConsuming = true
    var offset = 0
    while offset < bytes.count, isOpen, machine.wantsInput {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      do throws(WireError) {
        let count =
          machine.state == .awaitingHead ? try consumeHead(rest) : try consumeBody(rest)
        guard let count else { break }
        offset += count
      } catch {
        refuse(error)
      }
    }
    isConsuming = false
    guard isOpen, machine.state != .closing else { return }
    if offset < bytes.count { remainder = Array(bytes[offset...]) }
  }

  /// The byte count of the head that starts `bytes`, nil when more is needed.
  private func consumeHead(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    let span = bytes.bindMemory(to: UInt8.self).span
    guard let count = try scanner.scan(span) else {
      if !headStarted {
        headStarted = true
        timer?.schedule(after: server.limits.headTimeout)
      }
      return nil
    }
    scanner.reset()
    headStarted = false
    let headBytes = span.extracting(0..<count)
    let head = try RequestHead(headBytes)
    isVersion11 = head.isVersion11
    let hasBody = head.body != .none && head.body != .length(0)
    machine.receivedHead(
      keepsAlive: head.keepsAlive, isHeadRequest: head.method == .head, hasBody: hasBody)
    if hasBody {
      try expectBody(head, headBytes)
    } else {
      timer?.cancel()
      server.handle(head, bytes: headBytes, body: [], on: self)
    }
    return count
  }

  private func expectBody(_ head: RequestHead, _ bytes: Span<UInt8>) throws(WireError) {
    bodyByteCountMax = server.bodyByteCountMax(of: head, bytes: bytes)
    if case .length(let length) = head.body, length > bodyByteCountMax {
      throw WireError(.contentTooLarge, "the body is longer than \(bodyByteCountMax) bytes")
    }
    if bodyByteCountMax == 0 { throw WireError(.contentTooLarge, "this takes no body") }
    request = (head, (0..<bytes.count).map { bytes[$0] })
    body = []
    chunks = ChunkedDecoder()
    timer?.schedule(after: server.limits.headTimeout)
    if head.expectsContinue { stream.send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
  }

  private func consumeBody(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    guard let (head, headBytes) = request else { preconditionFailure("a body has a head") }
    var used = 0
    var isComplete = false
    if case .length(let length) = head.body {
      used = min(bytes.count, length - body.count)
      body += UnsafeRawBufferPointer(rebasing: bytes[..<used])
      isComplete = body.count == length
    } else {
      (used, isComplete) = try decodeChunks(bytes)
    }
    if isComplete {
      timer?.cancel()
      machine.receivedBody()
      let whole = body
      (request, body) = (nil, [])
      server.handle(head, bytes: headBytes.span, body: whole, on: self)
    }
    return used
  }

  private func decodeChunks(
    _ bytes: UnsafeRawBufferPointer
  ) throws(WireError) -> (used: Int, isComplete: Bool) {
    var used = 0
    while used < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
      let step = try chunks.decode(rest.bindMemory(to: UInt8.self).span)
      used += step.consumedByteCount
      if !step.body.isEmpty {
        guard body.count + step.body.count <= bodyByteCountMax else {
          throw WireError(.contentTooLarge, "the body is longer than \(bodyByteCountMax) bytes")
        }
        body += UnsafeRawBufferPointer(rebasing: rest[step.body])
      }
      if step.isEnd { return (used, true) }
      if step.consumedByteCount == 0 { break }
    }
    return (used, false)
  }

  private func refuse(_ error: WireError) {
    server.statistics.malformed.add()
    machine.refused()
    timer?.schedule(after: server.limits.idleTimeoutUnderPressure)
    respondText(error.status, error.reason, endsConnection: true)
  }

  // MARK: Output events

  /// Looks at requests that waited behind a response.
  func continueInput() {
    guard isOpen, machine.wantsInput else { return }
    awaitRequest()
    guard !isConsuming else { return }
    stream.resumeReading()
    guard !remainder.isEmpty else { return }
    let waiting = remainder
    remainder = []
    waiting.withUnsafeBytes { consume($0) }
  }

  func awaitRequest() {
    let limits = server.limits
    timer?.schedule(
      after: server.isUnderPressure ? limits.idleTimeoutUnderPressure : limits.idleTimeout)
    if server.isDraining, remainder.isEmpty, !isConsuming { stream.shutdownAfterDrain() }
  }

  func watchProgress() {
    sentAtLastCheck = stream.sentByteCount
    timer?.schedule(after: server.limits.stallTimeout)
  }

  package func streamDidConnect(_ stream: Stream) {}

  package func streamDidDrain(_ stream: Stream) {
    if machine.state == .streamingBody {
      source?.bodyDrained(on: self)
      return
    }
    endObservation(isComplete: true)
    if machine.drained() { continueInput() }
  }

  package func streamDidClose(_ stream: Stream, _ reason: CloseReason) {
    guard isOpen else { return }
    isOpen = false
    timer?.cancel()
    endObservation(isComplete: false)
    let ended = source
    source = nil
    machine.closed()
    ended?.bodyClosed(on: self)
    server.removed(self)
    server.loop.bury(self)
  }

  func endObservation(isComplete: Bool) {
    guard let observer else { return }
    self.observer = nil
    let unsent = isComplete ? 0 : min(stream.queuedByteCount, observedByteCount)
    observer.responseEnded(
      on: self, sentByteCount: observedByteCount - unsent, isComplete: isComplete)
  }

  private func deadlinePassed() {
    switch machine.state {
    case .awaitingHead where headStarted:
      server.statistics.timeouts.add()
      machine.refused()
      timer?.schedule(after: server.limits.idleTimeoutUnderPressure)
      respondText(.requestTimeout, "the request did not arrive in time", endsConnection: true)
    case .awaitingBody:
      server.statistics.timeouts.add()
      machine.refused()
      respondText(.requestTimeout, "the body did not arrive in time", endsConnection: true)
    case .awaitingHead, .closed:
      stream.close()
    case .awaitingResponse:
      break
    case .streamingBody where stream.queuedByteCount == 0:
      // Nothing to send yet is not the client's fault.
      watchProgress()
    case .streamingBody, .awaitingDrain, .closing:
      if stream.sentByteCount == sentAtLastCheck {
        server.statistics.timeouts.add()
        stream.close()
      } else {
        watchProgress()
      }
    }
  }
}
