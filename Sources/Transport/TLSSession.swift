import COpenSSL
import Posix
import Reactor

/// Owns an `SSL`: one connection's TLS. It reads from the connection's socket; it writes to it too
/// where the kernel may make the records, and else into a sink that sends several at once. Every call
/// begins with an empty queue of errors, so that what fails is blamed for its own.
final class TLSSession {
  /// RFC 8446 section 5.1: the most a record holds.
  static let recordByteCountMax = 16 * 1024

  enum Outcome {
    case done(Int)
    case wantsRead
    case wantsWrite
    case end
    case failed(TLSFailure)
  }

  let isClient: Bool
  private var session: OpaquePointer?
  /// The contexts' callbacks reach it without owning it.
  private let kept: AnyObject
  private let usesSocketDirectly: Bool
  private var expectedFingerprint: TLSFingerprint?
  private var sink: RecordSink?
  private var kernelSends = false
  /// The last read ended for want of room or for want of output: another one may bring something.
  private var mayReadMore = false
  /// A read brought bytes and met the end, or a failure, behind them.
  private var owesOutcome = false

  init(
    _ session: OpaquePointer, isClient: Bool, usesSocketDirectly: Bool, keeping kept: AnyObject
  ) {
    self.session = session
    self.isClient = isClient
    self.usesSocketDirectly = usesSocketDirectly
    self.kept = kept
  }

  deinit { SSL_free(session) }

  /// A client's: the name, or the literal address, that the certificate must be for.
  func expect(serverName: String) {
    ERR_clear_error()
    // A literal address goes into the check but not into the greeting (RFC 6066 section 3).
    if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), serverName) == 1 { return }
    _ = spate_tls_set_server_name(session, serverName)
    // A name that cannot be set fails the check of whatever certificate comes.
    if SSL_set1_host(session, serverName) != 1 { _ = SSL_set1_host(session, "invalid.") }
  }

  /// A client's: the certificate that must come, whoever signed it.
  func expect(_ fingerprint: TLSFingerprint) { expectedFingerprint = fingerprint }

  private var isExpected: Bool {
    guard let expectedFingerprint else { return true }
    guard let session, let certificate = SSL_get0_peer_certificate(session) else { return false }
    return TLSFingerprint(of: certificate) == expectedFingerprint
  }

  func attach(to descriptor: Int32, _ loop: EventLoop) {
    ERR_clear_error()
    if usesSocketDirectly {
      let result = SSL_set_fd(session, descriptor)
      precondition(result == 1, "out of memory")
    } else {
      let sink = RecordSink(loop.writeBuffer)
      self.sink = sink
      let result = SSL_set_rfd(session, descriptor)
      precondition(result == 1, "out of memory")
      SSL_set0_wbio(session, sink.makeBIO())
    }
  }

  /// Before the descriptor closes.
  func detach() {
    SSL_free(session)
    session = nil
    sink = nil
  }

  func handshake(_ socket: borrowing Socket) -> Outcome {
    ERR_clear_error()
    let result = SSL_do_handshake(session)
    let outcome = result == 1 ? Outcome.done(0) : outcome(of: result)
    // Also after a failure: the other side is told why.
    let flushed = flush(to: socket)
    if case .failed = outcome { return outcome }
    if case .failed = flushed { return .failed(.connectionLost) }
    guard case .done = outcome, let session else {
      return flushed == .wouldBlock ? .wantsWrite : outcome
    }
    guard isExpected else {
      return .failed(.refused("the peer's certificate is not the one the tracker named"))
    }
    kernelSends = usesSocketDirectly && spate_tls_kernel_sends(session) == 1
    mayReadMore = true
    return outcome
  }

  /// Records that the kernel did not take yet.
  var holdsOutput: Bool { sink.map { !$0.isEmpty } ?? false }
  /// So many records have gathered that they should be sent before there are more.
  var wantsFlush: Bool { sink.map(\.isFull) ?? false }

  /// Sends the records that have gathered; `.bytes` when none are left.
  func flush(to socket: borrowing Socket) -> WriteOutcome { sink?.flush(to: socket) ?? .bytes(0) }

  /// The next read brings something even if the socket has nothing more.
  var hasBufferedInput: Bool {
    guard session != nil else { return false }
    return owesOutcome || mayReadMore && SSL_has_pending(session) == 1
  }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, _ socket: borrowing Socket
  ) -> Outcome {
    let outcome = read(into: buffer)
    // Reading may answer: an alert, a new key. That leaves now, or is kept.
    guard let sink, !sink.isEmpty else { return outcome }
    let flushed = sink.flush(to: socket)
    guard case .wantsRead = outcome else { return outcome }
    switch flushed {
    case .bytes: return outcome
    case .wouldBlock: return .wantsWrite
    case .failed: return .failed(.connectionLost)
    }
  }

  private func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    var total = 0
    owesOutcome = false
    repeat {
      ERR_clear_error()
      var count = 0
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[total...])
      let result = SSL_read_ex(session, rest.baseAddress, rest.count, &count)
      guard result == 1 else {
        let outcome = outcome(of: result)
        switch outcome {
        case .wantsRead: mayReadMore = false
        case .wantsWrite: mayReadMore = true
        case .end, .failed, .done: owesOutcome = total > 0
        }
        // What was read comes first; an end or a failure comes again with the next call.
        return total > 0 ? .done(total) : outcome
      }
      total += count
      mayReadMore = true
    } while total < buffer.count && SSL_has_pending(session) == 1
    return .done(total)
  }

  /// Says that nothing more will be sent (close_notify), if there is room for it.
  func notifyClose(_ socket: borrowing Socket) {
    ERR_clear_error()
    _ = SSL_shutdown(session)
    ERR_clear_error()
    _ = flush(to: socket)
  }

  private func outcome(of result: Int32) -> Outcome {
    guard let session else { return .failed(.connectionLost) }
    switch SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ: return .wantsRead
    case SSL_ERROR_WANT_WRITE: return .wantsWrite
    case SSL_ERROR_ZERO_RETURN: return .end
    case SSL_ERROR_SYSCALL: return .failed(.connectionLost)
    // SSL_ERROR_SSL, and those that only other uses of OpenSSL give.
    default: return .failed(.latched(session))
    }
  }
}

// MARK: - Writing

extension TLSSession {
  /// Writes at most one record of a segment, or with the kernel's records as much as it takes.
  ///
  /// A record that met a full socket is inside OpenSSL already and leaves with the next call, which
  /// must offer the same bytes again: so what is offered depends on the segment alone.
  func write(
    _ segment: OutputQueue.Segment, pool: BufferPool, byteCountMax: Int
  ) -> SegmentOutcome {
    switch segment {
    case .buffer(let buffer, let unsent):
      return write(UnsafeRawBufferPointer(rebasing: buffer[unsent]))
    case .array(let array, let unsent):
      return array.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[unsent])) }
    case .file(let file, let unsent):
      return kernelSends
        ? sendFile(file, unsent, byteCountMax: byteCountMax) : write(file, unsent, pool)
    }
  }

  private func write(_ bytes: UnsafeRawBufferPointer) -> SegmentOutcome {
    ERR_clear_error()
    var count = 0
    let result = SSL_write_ex(session, bytes.baseAddress, bytes.count, &count)
    guard result == 1 else { return segmentOutcome(of: result) }
    // Fewer bytes than offered is the end of a record here, not a full socket.
    return .wrote(count, asked: count)
  }

  /// Through user space: from the page cache into a borrowed buffer, one record at a time.
  private func write(_ file: OpenFile, _ unsent: Range<Int>, _ pool: BufferPool) -> SegmentOutcome {
    let buffer = pool.take()
    defer { pool.giveBack(buffer) }
    let window = UnsafeMutableRawBufferPointer(
      rebasing: buffer[..<min(unsent.count, Self.recordByteCountMax)])
    do throws(SystemError) {
      guard try file.read(into: window, at: unsent.lowerBound) == window.count else {
        return .failed(.fileTooShort)
      }
    } catch {
      return .failed(.failed(error))
    }
    return write(UnsafeRawBufferPointer(window))
  }

  private func sendFile(
    _ file: OpenFile, _ unsent: Range<Int>, byteCountMax: Int
  ) -> SegmentOutcome {
    ERR_clear_error()
    let asked = min(unsent.count, byteCountMax)
    let count = SSL_sendfile(session, file.rawDescriptor, off_t(unsent.lowerBound), asked, 0)
    if count > 0 { return .wrote(count, asked: asked) }
    if count == 0 { return .failed(.fileTooShort) }
    return segmentOutcome(of: -1)
  }

  private func segmentOutcome(of result: Int32) -> SegmentOutcome {
    switch outcome(of: result) {
    // Reading before writing was asked for by renegotiation only, which is refused.
    case .wantsWrite, .wantsRead: .blocked
    case .end: .failed(.remoteClosed)
    case .failed(let failure): .failed(failure.closeReason)
    case .done: preconditionFailure("a failed write succeeded")
    }
  }
}
