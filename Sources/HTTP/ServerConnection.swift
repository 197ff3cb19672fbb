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
  var source: (any BodySource)?
  var usesChunks = false
  /// The body that is streamed has no length that was told beforehand.
  var streamsUntilEnded = false

  // The request that is arriving: `ServerConnection+Input.swift`.
  var scanner: HeadScanner
  var remainder: [UInt8] = []
  var request: (head: RequestHead, bytes: [UInt8])?
  var body: [UInt8] = []
  var bodyByteCountMax = 0
  var chunks = ChunkedDecoder(fault: .badRequest)
  var isConsuming = false
  var headStarted = false

  // What is leaving. Ends are positions in all that the stream sends, so that what was sent can be
  // told when the stream has dropped the rest.
  private var observation: (observer: any ResponseObserver, byteCount: Int, end: Int)?
  private var uncreditedByteCount = 0
  private var uncreditedEnd = 0
  private var timer: Timer?
  private var sentAtLastCheck = 0
  private var awaitsHandshake = false

  init(_ stream: Stream, server: Server) {
    self.stream = stream
    self.server = server
    remote = Endpoint(address: stream.remote.address.unmapped, port: stream.remote.port)
    scanner = HeadScanner(.request, limits: server.limits.head)
    stream.handler = self
  }

  /// Response bytes queued and not yet handed to the kernel.
  package var queuedByteCount: Int { stream.queuedByteCount }

  package var isTLS: Bool { stream.isTLS }

  package func close() { stream.close() }

  func start() {
    timer = Timer(server.loop) { [unowned self] in self.deadlinePassed() }
    if stream.isHandshaking {
      awaitsHandshake = true
      timer?.schedule(after: server.limits.handshakeTimeout)
    } else {
      awaitRequest()
    }
  }

  /// Answers before any request was read: too many connections.
  func refuseBusy() {
    timer = Timer(server.loop) { [unowned self] in self.deadlinePassed() }
    machine.refused()
    let delay = Int.random(in: server.limits.retryAfterSeconds)
    respondText(.serviceUnavailable, "too many connections", endsConnection: true) {
      HeadWriter.field(.retryAfter, delay, to: &$0)
    }
    timer?.schedule(after: server.limits.idleTimeoutUnderPressure)
  }

  /// Ends the connection as soon as nothing is owed on it.
  func drain() {
    switch machine.state {
    case .awaitingHead where !headStarted: finish()
    case .awaitingHead, .awaitingBody, .awaitingResponse, .streamingBody, .awaitingDrain, .closing,
      .closed:
      break
    }
  }

  /// Ends the connection behind what is queued.
  func finish() {
    machine.finished()
    watchProgress()
    stream.resumeReading()
    stream.shutdownAfterDrain()
  }

  // MARK: Time

  func awaitRequest() {
    let limits = server.limits
    awaitsHandshake = false
    timer?.schedule(
      after: server.isUnderPressure ? limits.idleTimeoutUnderPressure : limits.idleTimeout)
  }

  func awaitRest() { timer?.schedule(after: server.limits.headTimeout) }
  func awaitHandler() { timer?.cancel() }

  func watchProgress() {
    creditContent()
    sentAtLastCheck = stream.sentByteCount
    timer?.schedule(after: server.limits.stallTimeout)
  }

  private func deadlinePassed() {
    switch machine.state {
    case .awaitingHead where awaitsHandshake:
      awaitsHandshake = false
      if stream.isHandshaking { endForSlowness() } else { awaitRequest() }
    case .awaitingHead where headStarted, .awaitingBody:
      server.statistics.timeouts.add()
      machine.refused()
      respondText(.requestTimeout, "the request did not arrive in time", endsConnection: true)
    case .awaitingHead where stream.queuedByteCount > 0:
      checkProgress()
    case .awaitingHead:
      finish()
    case .streamingBody where stream.queuedByteCount == 0:
      // Nothing to send yet is not the client's fault.
      watchProgress()
    case .streamingBody, .awaitingDrain, .closing:
      checkProgress()
    case .awaitingResponse, .closed:
      break
    }
  }

  private func endForSlowness() {
    server.statistics.timeouts.add()
    stream.close()
  }

  private func checkProgress() {
    if stream.sentByteCount - sentAtLastCheck < server.limits.stallByteCountMin {
      endForSlowness()
    } else {
      watchProgress()
    }
  }

  // MARK: Stream events

  package func streamDidConnect(_ stream: Stream) {}

  package func streamDidDrain(_ stream: Stream) {
    creditContent()
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
    creditContent()
    endObservation(isComplete: false)
    let ended = source
    source = nil
    machine.closed()
    ended?.bodyClosed(on: self)
    server.removed(self)
    server.loop.bury(self)
  }

  // MARK: Accounts

  /// The `byteCount` bytes queued last are a body that `observer` wants to hear the end of.
  func observe(_ byteCount: Int, _ observer: any ResponseObserver) {
    observation = (observer, byteCount, stream.sentByteCount + stream.queuedByteCount)
  }

  func endObservation(isComplete: Bool) {
    guard let (observer, byteCount, end) = observation else { return }
    observation = nil
    let unsent = isComplete ? 0 : min(byteCount, max(0, end - stream.sentByteCount))
    observer.responseEnded(
      on: self, sentByteCount: byteCount - unsent, isComplete: unsent == 0)
  }

  /// Of the bytes queued last, `byteCount` are content: counted once the kernel has them.
  func charge(contentByteCount byteCount: Int) {
    uncreditedByteCount += byteCount
    uncreditedEnd = stream.sentByteCount + stream.queuedByteCount
  }

  private func creditContent() {
    guard uncreditedByteCount > 0 else { return }
    let unsent = min(uncreditedByteCount, max(0, uncreditedEnd - stream.sentByteCount))
    server.statistics.contentBytes.add(uncreditedByteCount - unsent)
    uncreditedByteCount = unsent
  }
}
