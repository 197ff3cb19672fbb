import Posix
import Reactor
package import Transport
import Wire

/// What has arrived of a request that is not complete, or of requests that wait behind a response.
final class Arrival {
  var scanner: HeadScanner
  var remainder: [UInt8] = []
  var request: (head: RequestHead, bytes: [UInt8])?
  var body: [UInt8] = []
  var bodyByteCountMax = 0
  var chunks = ChunkedDecoder(fault: .badRequest)

  init(_ limits: HeadLimits) { scanner = HeadScanner(.request, limits: limits) }
}

/// Reading requests. Bytes are looked at in the loop's buffer; only an unfinished head, and requests
/// that wait behind a response, are copied.
extension ServerConnection {
  package func streamIsReadable(_ stream: Stream) {
    guard machine.wantsInput else { return readAhead() }
    let buffer = server.loop.readBuffer
    let kept = arrival?.remainder.count ?? 0
    if kept > 0 { arrival?.remainder.withUnsafeBytes { buffer.copyMemory(from: $0) } }
    switch stream.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[kept...])) {
    case .bytes(let count):
      arrival?.remainder = []
      consume(UnsafeRawBufferPointer(rebasing: buffer[..<(kept + count)]))
    case .wouldBlock: break
    case .end: inputEnded()
    case .failed: stream.close()
    }
  }

  /// Bytes that arrive while a response is owed: kept up to a limit, then left in the kernel.
  private func readAhead() {
    let room = server.limits.pipelinedByteCountMax - (arrival?.remainder.count ?? 0)
    guard room > 0 else { return stream.pauseReading() }
    let buffer = server.loop.readBuffer
    let count = min(room, buffer.count)
    switch stream.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])) {
    case .bytes(let count):
      openArrival().remainder += UnsafeRawBufferPointer(rebasing: buffer[..<count])
    case .wouldBlock: break
    case .end: inputEnded()
    case .failed: stream.close()
    }
  }

  private func openArrival() -> Arrival {
    if let arrival { return arrival }
    let opened = Arrival(server.limits.head)
    arrival = opened
    return opened
  }

  private func inputEnded() {
    stream.pauseReading()
    switch machine.endedInput() {
    case .finish: finish()
    case .finishResponse:
      // An endless body has no end to wait for: who ends its side of that has gone.
      if machine.state == .streamingBody, streamed?.lastsUntilEnded == true { stream.close() }
    }
  }

  /// Looks at requests that waited behind a response.
  func continueInput() {
    guard isOpen, machine.wantsInput else { return }
    awaitRequest()
    guard !isConsuming else { return }
    if let arrival, !arrival.remainder.isEmpty {
      let waiting = arrival.remainder
      arrival.remainder = []
      waiting.withUnsafeBytes { consume($0) }
    }
    guard isOpen, machine.wantsInput else { return }
    if machine.inputEnded || (server.isDraining && !headStarted) {
      finish()
    } else {
      stream.resumeReading()
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
    guard isOpen, machine.keepsInput else { return }
    if offset < bytes.count {
      openArrival().remainder = Array(bytes[offset...])
    } else if machine.state != .awaitingBody {
      arrival = nil
    }
  }

  /// The byte count of the head that starts `bytes`, nil when more is needed.
  private func consumeHead(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    let span = bytes.bindMemory(to: UInt8.self).span
    guard let count = try scan(span) else {
      if !headStarted {
        headStarted = true
        awaitRest()
      }
      return nil
    }
    headStarted = false
    let headBytes = span.extracting(0..<count)
    let head = try RequestHead(headBytes)
    isVersion11 = head.isVersion11
    // A body that came with its head, as short ones do, is handed over where it lies.
    let bodyByteCount = head.byteCountOfBody(within: bytes.count - count)
    machine.receivedHead(
      keepsAlive: head.keepsAlive, isHeadRequest: head.method == .head,
      hasBody: bodyByteCount == nil)
    if head.body != .none { try checkBody(head, headBytes) }
    guard let bodyByteCount else {
      expectBody(head, headBytes)
      return count
    }
    let end = count + bodyByteCount
    isLastInput = end == bytes.count
    awaitHandler()
    server.handle(head, bytes: headBytes, body: span.extracting(count..<end), on: self)
    return end
  }

  /// A head that came in one part, as nearly all do, leaves nothing behind.
  private func scan(_ bytes: Span<UInt8>) throws(WireError) -> Int? {
    if let arrival {
      let count = try arrival.scanner.scan(bytes)
      if count != nil { arrival.scanner.reset() }
      return count
    }
    var scanner = HeadScanner(.request, limits: server.limits.head)
    let count = try scanner.scan(bytes)
    if count == nil { openArrival().scanner = scanner }
    return count
  }

  private func checkBody(_ head: RequestHead, _ bytes: Span<UInt8>) throws(WireError) {
    let bodyByteCountMax = server.bodyByteCountMax(of: head, bytes: bytes)
    if bodyByteCountMax == 0 { throw WireError(.contentTooLarge, "this takes no body") }
    if case .length(let length) = head.body, length > bodyByteCountMax {
      throw WireError(.contentTooLarge, "the body is longer than \(bodyByteCountMax) bytes")
    }
  }

  private func expectBody(_ head: RequestHead, _ bytes: Span<UInt8>) {
    isLastInput = false
    let arrival = openArrival()
    arrival.bodyByteCountMax = server.bodyByteCountMax(of: head, bytes: bytes)
    arrival.request = (head, bytes.withUnsafeBufferPointer { Array($0) })
    arrival.body = []
    arrival.chunks = ChunkedDecoder(fault: .badRequest)
    awaitRest()
    if head.expectsContinue { stream.send(Self.continueHead) }
  }

  private static let continueHead = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

  private func consumeBody(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    guard let arrival, let (head, headBytes) = arrival.request else {
      preconditionFailure("a body has a head")
    }
    let used: Int
    let isComplete: Bool
    if case .length(let length) = head.body {
      used = min(bytes.count, length - arrival.body.count)
      arrival.body += UnsafeRawBufferPointer(rebasing: bytes[..<used])
      isComplete = arrival.body.count == length
    } else {
      (used, isComplete) = try arrival.decodeChunks(bytes)
    }
    if isComplete {
      awaitHandler()
      machine.receivedBody()
      let whole = arrival.body
      (arrival.request, arrival.body) = (nil, [])
      server.handle(head, bytes: headBytes.span, body: whole.span, on: self)
    }
    return used
  }

  private func refuse(_ error: WireError) {
    server.statistics.malformed.add()
    machine.refused()
    arrival = nil
    respondText(error.status, error.reason, endsConnection: true)
  }
}

extension RequestHead {
  /// The length of a body that is there to its end, 0 without one; nil when it has yet to arrive.
  fileprivate func byteCountOfBody(within byteCount: Int) -> Int? {
    switch body {
    case .none: 0
    case .length(let length): length <= byteCount && !expectsContinue ? length : nil
    case .chunked, .untilClose: nil
    }
  }
}

extension Arrival {
  fileprivate func decodeChunks(
    _ bytes: UnsafeRawBufferPointer
  ) throws(WireError) -> (used: Int, isComplete: Bool) {
    let span = bytes.bindMemory(to: UInt8.self).span
    var position = 0
    while true {
      switch try chunks.next(span, at: &position) {
      case .body(let range):
        guard body.count + range.count <= bodyByteCountMax else {
          throw WireError(.contentTooLarge, "the body is longer than \(bodyByteCountMax) bytes")
        }
        body += UnsafeRawBufferPointer(rebasing: bytes[range])
      case .needsMore: return (position, false)
      case .end(let end): return (end, true)
      }
    }
  }
}
