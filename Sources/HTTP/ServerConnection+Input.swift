import Posix
import Reactor
package import Transport
import Wire

/// Reading requests. Bytes are looked at in the loop's buffer; only an unfinished head, and requests
/// that wait behind a response, are copied.
extension ServerConnection {
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
    guard room > 0 else { return stream.pauseReading() }
    let buffer = server.loop.readBuffer
    let count = min(room, buffer.count)
    switch stream.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])) {
    case .bytes(let count): remainder += UnsafeRawBufferPointer(rebasing: buffer[..<count])
    case .wouldBlock: break
    case .end: inputEnded()
    case .failed: stream.close()
    }
  }

  private func inputEnded() {
    stream.pauseReading()
    switch machine.endedInput() {
    case .finish: finish()
    case .finishResponse:
      // An endless body has no end to wait for: who ends its side of that has gone.
      if machine.state == .streamingBody, streamsUntilEnded { stream.close() }
    }
  }

  /// Looks at requests that waited behind a response.
  func continueInput() {
    guard isOpen, machine.wantsInput else { return }
    awaitRequest()
    guard !isConsuming else { return }
    if !remainder.isEmpty {
      let waiting = remainder
      remainder = []
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
    if offset < bytes.count { remainder = Array(bytes[offset...]) }
  }

  /// The byte count of the head that starts `bytes`, nil when more is needed.
  private func consumeHead(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    let span = bytes.bindMemory(to: UInt8.self).span
    guard let count = try scanner.scan(span) else {
      if !headStarted {
        headStarted = true
        awaitRest()
      }
      return nil
    }
    scanner.reset()
    headStarted = false
    let headBytes = span.extracting(0..<count)
    let head = try RequestHead(headBytes)
    isVersion11 = head.isVersion11
    let hasBody = head.body != .none
    machine.receivedHead(
      keepsAlive: head.keepsAlive, isHeadRequest: head.method == .head, hasBody: hasBody)
    if hasBody {
      try expectBody(head, headBytes)
    } else {
      awaitHandler()
      server.handle(head, bytes: headBytes, body: [], on: self)
    }
    return count
  }

  private func expectBody(_ head: RequestHead, _ bytes: Span<UInt8>) throws(WireError) {
    bodyByteCountMax = server.bodyByteCountMax(of: head, bytes: bytes)
    if bodyByteCountMax == 0 { throw WireError(.contentTooLarge, "this takes no body") }
    if case .length(let length) = head.body, length > bodyByteCountMax {
      throw WireError(.contentTooLarge, "the body is longer than \(bodyByteCountMax) bytes")
    }
    request = (head, bytes.withUnsafeBufferPointer { Array($0) })
    body = []
    chunks = ChunkedDecoder(fault: .badRequest)
    awaitRest()
    if head.expectsContinue { stream.send(Self.continueHead) }
  }

  private static let continueHead = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

  private func consumeBody(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
    guard let (head, headBytes) = request else { preconditionFailure("a body has a head") }
    let used: Int
    let isComplete: Bool
    if case .length(let length) = head.body {
      used = min(bytes.count, length - body.count)
      body += UnsafeRawBufferPointer(rebasing: bytes[..<used])
      isComplete = body.count == length
    } else {
      (used, isComplete) = try decodeChunks(bytes)
    }
    if isComplete {
      awaitHandler()
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

  private func refuse(_ error: WireError) {
    server.statistics.malformed.add()
    machine.refused()
    (request, body) = (nil, [])
    respondText(error.status, error.reason, endsConnection: true)
  }
}
