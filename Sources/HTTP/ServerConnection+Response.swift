import Content
package import Posix
import Transport
package import Wire

/// Writing responses. Each request gets exactly one: `respond`, or `startStreaming` followed by
/// `endStreaming`. On a connection that has closed meanwhile they do nothing.
extension ServerConnection {
  /// Answers with a body that is known now.
  /// - Parameters:
  ///   - contentLength: what `Content-Length` says when it is not the body's own length, as for a
  ///     resource that was asked for by HEAD.
  ///   - observer: told when the body has left, or failed to.
  ///   - fields: appends the fields that are the response's own.
  package func respond(
    _ status: Status, body: ResponseBody = .empty, contentLength: Int? = nil,
    observer: (any ResponseObserver)? = nil, endsConnection: Bool = false,
    fields: (inout [UInt8]) -> Void = { _ in }
  ) {
    guard isOpen else { return }
    let isLast = endsConnection || server.isDraining
    let length = contentLength ?? body.byteCount
    writeHead(status, length: status.forbidsBody ? nil : length, isLast: isLast, fields)
    let sendsBody = !machine.isHeadRequest && !status.forbidsBody
    let byteCount = sendsBody ? body.byteCount : 0
    if sendsBody { queue(body) }
    finishResponse(byteCount, observer: observer, endsConnection: isLast)
  }

  /// What `body` responds leaves when it is over, instead of at the end of the turn.
  package func sendAtOnce(_ body: () -> Void) { stream.sendAtOnce(body) }

  /// A short text for people, with a line break at its end.
  package func respondText(
    _ status: Status, _ text: String, endsConnection: Bool = false,
    fields: (inout [UInt8]) -> Void = { _ in }
  ) {
    respond(status, body: .bytes(Array((text + "\n").utf8)), endsConnection: endsConnection) {
      HeadWriter.field(.contentType, Self.plainText, to: &$0)
      fields(&$0)
    }
  }

  /// 405; `methods` are those the resource takes, as `Allow` lists them.
  package func respondMethodNotAllowed(_ methods: String) {
    respondText(.methodNotAllowed, "this takes \(methods)") {
      HeadWriter.field(.allow, methods, to: &$0)
    }
  }

  /// Starts a response whose body comes bit by bit.
  /// - Parameter length: of the whole body; nil when it is not known, and then the body is chunked,
  ///   or for a client of HTTP/1.0 ends with the connection.
  package func startStreaming(
    _ status: Status, length: Int?, source: any BodySource,
    fields: (inout [UInt8]) -> Void = { _ in }
  ) {
    guard isOpen else { return source.bodyClosed(on: self) }
    let usesChunks = length == nil && isVersion11
    let isLast = server.isDraining || (length == nil && !isVersion11)
    writeHead(status, length: length, isLast: isLast) { head in
      if usesChunks { HeadWriter.field(.transferEncoding, Self.chunkedText, to: &head) }
      fields(&head)
    }
    machine.startedStreaming(endsConnection: isLast)
    streamed = StreamedBody(source, usesChunks: usesChunks, lastsUntilEnded: length == nil)
    watchProgress()
  }

  private var usesChunks: Bool { streamed?.usesChunks ?? false }

  package func append(_ bytes: [UInt8]) {
    guard isOpen, !bytes.isEmpty, !machine.isHeadRequest else { return }
    if usesChunks {
      var chunk: [UInt8] = []
      HeadWriter.chunkStart(byteCount: bytes.count, to: &chunk)
      stream.send(chunk + bytes + HeadWriter.chunkEnd)
    } else {
      stream.send(bytes)
    }
  }

  /// Appends file bytes; only to a body whose length was given. `isContent`: they count as sent
  /// content.
  package func append(_ slice: FileSlice, isContent: Bool = false) {
    guard isOpen, !machine.isHeadRequest else { return }
    precondition(!usesChunks, "file bytes go into a body of known length")
    stream.send(slice)
    if isContent { charge(contentByteCount: slice.range.count) }
  }

  package func endStreaming() {
    guard isOpen, machine.state == .streamingBody else { return }
    if usesChunks, !machine.isHeadRequest { stream.send(HeadWriter.lastChunk) }
    let ended = streamed
    streamed = nil
    finishQueueing(endsConnection: false, mustDrain: stream.queuedByteCount > 0)
    ended?.source.bodyClosed(on: self)
  }

  func writeHead(
    _ status: Status, length: Int?, isLast: Bool, _ fields: (inout [UInt8]) -> Void
  ) {
    server.refreshDate()
    server.statistics.responses[Int(status.code / 100) - 1].add()
    var head = server.takeScratch()
    HeadWriter.startResponse(status, to: &head)
    head += server.standingFields
    if let length { HeadWriter.field(.contentLength, length, to: &head) }
    if isLast || !machine.keepsAlive {
      HeadWriter.field(.connection, Self.closeText, to: &head)
    } else if !isVersion11 {
      HeadWriter.field(.connection, Self.keepAliveText, to: &head)
    }
    fields(&head)
    HeadWriter.end(to: &head)
    server.scratch = head
    server.scratch.withUnsafeBytes { stream.send($0) }
  }

  private static let plainText = Array("text/plain; charset=utf-8".utf8)
  private static let chunkedText = Array("chunked".utf8)
  private static let closeText = Array("close".utf8)
  private static let keepAliveText = Array("keep-alive".utf8)

  func queue(_ body: ResponseBody) {
    switch body {
    case .empty: break
    case .bytes(let bytes): stream.send(bytes)
    case .file(let slice): stream.send(slice)
    case .parts(let parts):
      for part in parts {
        switch part {
        case .bytes(let bytes): stream.send(bytes)
        case .file(let slice): stream.send(slice)
        }
      }
    }
  }

  /// The head and `byteCount` bytes of body are queued.
  func finishResponse(
    _ byteCount: Int, observer: (any ResponseObserver)?, endsConnection: Bool
  ) {
    if let observer {
      observe(byteCount, observer)
      if byteCount == 0 { endObservation(isComplete: true) }
    }
    let mustDrain =
      observer != nil && byteCount > 0
      || stream.queuedByteCount > server.limits.queuedByteCountMax
    finishQueueing(endsConnection: endsConnection, mustDrain: mustDrain)
  }

  private func finishQueueing(endsConnection: Bool, mustDrain: Bool) {
    machine.queuedResponse(endsConnection: endsConnection, mustDrain: mustDrain)
    switch machine.state {
    case .awaitingHead:
      continueInput()
    case .awaitingDrain:
      watchProgress()
    case .closing:
      watchProgress()
      // Who ends the connection itself sends nothing that closing it at once could answer with a
      // reset. TLS has last words of its own.
      let lingers = !machine.clientEnds || !isLastInput || arrival != nil || stream.isTLS
      if lingers { stream.resumeReading() }
      stream.shutdownAfterDrain(lingers: lingers)
    case .awaitingBody, .awaitingResponse, .streamingBody, .closed:
      preconditionFailure("a queued response leaves the machine waiting or closing")
    }
  }
}
