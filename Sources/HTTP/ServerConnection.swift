package import Content
import Posix
package import Reactor
package import Transport
import Wire

/// One client's conversation with a server: reads requests, hands them over in order, writes the
/// responses.
///
/// Lives on its server's loop and belongs to the server until the stream has closed. Idle it is small:
/// what only a request in parts or a long response needs is in objects of its own for as long.
package final class ServerConnection: StreamHandler, AlarmHandler {
  // The order is that of sizes: idle connections are many.
  let server: Server
  let stream: Stream
  package var alarm = Alarm()

  /// The request that is arriving: `ServerConnection+Input.swift`.
  var arrival: Arrival?
  /// The response that is being made while it leaves.
  var streamed: StreamedBody?

  // What is leaving. Ends are positions in all that the stream sends, so that what was sent can be
  // told when the stream has dropped the rest.
  private var observation: Observation?
  private var uncreditedByteCount = 0
  private var uncreditedEnd = 0
  private var sentAtLastCheck = 0

  /// Where the server has it.
  var index: Int32 = -1
  var machine = StateMachine()
  package private(set) var isOpen = true
  var isVersion11 = true
  var isConsuming = false
  var headStarted = false
  /// Nothing had arrived behind the last request.
  var isLastInput = false
  private var awaitsHandshake = false

  init(_ stream: Stream, server: Server) {
    self.stream = stream
    self.server = server
    stream.handler = self
  }

  deinit {
    stream.handler = nil
    server.loop.cancel(self)
  }

  package var remote: Endpoint {
    Endpoint(address: stream.remote.address.unmapped, port: stream.remote.port)
  }

  /// Response bytes queued and not yet handed to the kernel.
  package var queuedByteCount: Int { stream.queuedByteCount }

  package var isTLS: Bool { stream.isTLS }

  package func close() { stream.close() }

  func start() {
    if stream.isHandshaking {
      awaitsHandshake = true
      ring(after: server.limits.handshakeTimeout)
    } else {
      awaitRequest()
    }
  }

  /// Answers before any request was read: too many connections.
  func refuseBusy() {
    machine.refused()
    let delay = Int.random(in: server.limits.retryAfterSeconds)
    respondText(.serviceUnavailable, "too many connections", endsConnection: true) {
      HeadWriter.field(.retryAfter, delay, to: &$0)
    }
    ring(after: server.limits.idleTimeoutUnderPressure)
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

  /// Bytes that its socket took, ever.
  package var sentByteCount: Int { stream.sentByteCount }
  /// Bytes wait because the client takes none.
  package var isBlocked: Bool { stream.queuedByteCount > 0 && !stream.isAwaitingFile }

  // MARK: Time

  func awaitRequest() {
    let limits = server.limits
    awaitsHandshake = false
    ring(after: server.isUnderPressure ? limits.idleTimeoutUnderPressure : limits.idleTimeout)
  }

  func awaitRest() { ring(after: server.limits.headTimeout) }
  func awaitHandler() { alarm.cancel() }

  private func ring(after delay: Duration) { server.loop.ring(self, after: delay) }

  func watchProgress() {
    creditContent()
    sentAtLastCheck = stream.sentByteCount
    ring(after: server.limits.stallTimeout)
  }

  package func alarmDidRing() {
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
    let hasMoved = stream.sentByteCount - sentAtLastCheck >= server.limits.stallByteCountMin
    // A slow disk here is not the client's fault.
    if !hasMoved, !stream.isAwaitingFile {
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
      streamed?.source.bodyDrained(on: self)
      return
    }
    endObservation(isComplete: true)
    if machine.drained() { continueInput() }
  }

  package func streamDidClose(_ stream: Stream, _ reason: CloseReason) {
    guard isOpen else { return }
    isOpen = false
    alarm.cancel()
    creditContent()
    endObservation(isComplete: false)
    let ended = streamed
    streamed = nil
    machine.closed()
    ended?.source.bodyClosed(on: self)
    server.removed(self)
    server.loop.bury(self)
  }

  // MARK: Accounts

  /// The `byteCount` bytes queued last are a body that `observer` wants to hear the end of.
  func observe(_ byteCount: Int, _ observer: any ResponseObserver) {
    observation = Observation(
      observer: observer, byteCount: byteCount, end: stream.sentByteCount + stream.queuedByteCount)
  }

  func endObservation(isComplete: Bool) {
    guard let ended = observation else { return }
    observation = nil
    let unsent = isComplete ? 0 : min(ended.byteCount, max(0, ended.end - stream.sentByteCount))
    ended.observer.responseEnded(
      on: self, sentByteCount: ended.byteCount - unsent, isComplete: unsent == 0)
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

/// A body that comes bit by bit, and who makes it.
final class StreamedBody {
  let source: any BodySource
  let usesChunks: Bool
  /// It has no length that was told beforehand.
  let lastsUntilEnded: Bool

  init(_ source: any BodySource, usesChunks: Bool, lastsUntilEnded: Bool) {
    self.source = source
    self.usesChunks = usesChunks
    self.lastsUntilEnded = lastsUntilEnded
  }
}

/// A body whose end somebody wants to hear of.
private final class Observation {
  let observer: any ResponseObserver
  let byteCount: Int
  let end: Int

  init(observer: any ResponseObserver, byteCount: Int, end: Int) {
    self.observer = observer
    self.byteCount = byteCount
    self.end = end
  }
}
