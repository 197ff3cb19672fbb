import COpenSSL
import Posix
import Reactor

/// Owns an `SSL`: one connection's TLS. It reads and writes its socket itself where the kernel may
/// make the records, and else through the loop's port, which sends several at once. Every call begins
/// with an empty queue of errors, so that what fails is blamed for its own.
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
  private var port: RecordPort?
  private var unsent = UnsentRecords()
  /// A client's: where the server's tickets go.
  private var tickets: TicketDestination?
  /// The kernel makes the records.
  private(set) var kernelSends = false
  /// A server's.
  var handshakes: TLSHandshakes?
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

  /// A client's: goes on from a session the server knows, if there is one, and collects tickets. A
  /// resumed session has the certificate of the one it goes on from.
  func resume(from store: ClientSessions, _ server: ClientSessions.Server) {
    tickets = TicketDestination(store: store, server: server)
    SSL_set_ex_data(session, 0, Unmanaged.passUnretained(self).toOpaque())
    guard let known = store.take(for: server) else { return }
    ERR_clear_error()
    _ = SSL_set_session(session, known.pointer)
  }

  /// The handshake went on from an earlier session, without a certificate.
  var isResumed: Bool { session.map { SSL_session_reused($0) == 1 } ?? false }

  /// OpenSSL's callback for what a server issued.
  /// - Returns: whether the reference was taken over.
  static func received(_ ticket: OpaquePointer, on session: OpaquePointer) -> Bool {
    guard let data = SSL_get_ex_data(session, 0) else { return false }
    let receiver = Unmanaged<TLSSession>.fromOpaque(data).takeUnretainedValue()
    guard let tickets = receiver.tickets else { return false }
    tickets.store.add(ClientSession(owning: ticket), for: tickets.server)
    return true
  }

  /// A client's: where one certificate must come, whoever signed it, it is that one.
  private var isExpected: Bool {
    guard case .fingerprint(let expected)? = tickets?.server.whom else { return true }
    guard let session, let certificate = SSL_get0_peer_certificate(session) else { return false }
    return TLSFingerprint(of: certificate) == expected
  }

  func attach(to descriptor: Int32, _ loop: EventLoop) {
    ERR_clear_error()
    if usesSocketDirectly {
      let result = SSL_set_fd(session, descriptor)
      precondition(result == 1, "out of memory")
    } else {
      let port = RecordPort.of(loop)
      self.port = port
      // One reference for both directions is the session's to free.
      BIO_up_ref(port.bio)
      SSL_set_bio(session, port.bio, port.bio)
    }
  }

  /// What is written goes to the loop's port from now on.
  private func gatherRecords(_ loop: EventLoop) {
    let port = RecordPort.of(loop)
    self.port = port
    BIO_up_ref(port.bio)
    SSL_set0_wbio(session, port.bio)
  }

  /// Before the descriptor closes.
  func detach() {
    // A connection that closes without a word would spoil its session for later ones; that it was
    // cut short is noticed by those who count bytes. What failed has spoilt it already.
    if let session { SSL_set_shutdown(session, spate_tls_shut) }
    SSL_free(session)
    session = nil
    port = nil
    unsent = UnsentRecords()
  }

  func handshake(_ socket: borrowing Socket, _ loop: EventLoop) -> Outcome {
    ERR_clear_error()
    port?.face(socket)
    let result = SSL_do_handshake(session)
    let outcome = result == 1 ? Outcome.done(0) : outcome(of: result)
    // Also after a failure: the other side is told why.
    let flushed = flush(to: socket)
    if case .failed = outcome {
      // Perhaps for the ticket's sake: the next connection does without.
      if let tickets { tickets.store.forget(tickets.server) }
      return outcome
    }
    if case .failed = flushed { return .failed(.connectionLost) }
    guard case .done = outcome, let session else {
      return flushed == .wouldBlock ? .wantsWrite : outcome
    }
    guard isExpected else {
      return .failed(.refused("the peer's certificate is not the one the tracker named"))
    }
    kernelSends = usesSocketDirectly && spate_tls_kernel_sends(session) == 1
    // The kernel does not know every cipher.
    if usesSocketDirectly, !kernelSends { gatherRecords(loop) }
    handshakes?.count(kernelSends: kernelSends)
    mayReadMore = true
    return outcome
  }

  /// Records that the kernel did not take yet.
  var holdsOutput: Bool { !unsent.isEmpty || port?.isEmpty == false }
  /// So many records have gathered that they should be sent before there are more.
  var wantsFlush: Bool { port?.isFull == true }

  /// Sends the records that have gathered; `.bytes` when none are left.
  func flush(to socket: borrowing Socket) -> WriteOutcome {
    // A write begins with this, and OpenSSL may read within one.
    port?.face(socket)
    return port?.flush(to: socket, behind: &unsent) ?? .bytes(0)
  }

  /// The next read brings something even if the socket has nothing more.
  var hasBufferedInput: Bool {
    guard session != nil else { return false }
    return owesOutcome || mayReadMore && SSL_has_pending(session) == 1
  }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, _ socket: borrowing Socket
  ) -> Outcome {
    port?.face(socket)
    let outcome = read(into: buffer)
    if kernelSends, SSL_get_key_update_type(session) != SSL_KEY_UPDATE_NONE {
      // The next record would have to be of a new key (RFC 8446 section 4.6.3), which OpenSSL 3.0
      // cannot hand to the kernel. What was read with this is not answered.
      _ = notifyClose()
      _ = flush(to: socket)
      return .failed(.refused("a new key was asked for, and the kernel has the old one"))
    }
    // Reading may answer: an alert, a new key. That leaves now, or is kept.
    guard holdsOutput else { return outcome }
    let flushed = flush(to: socket)
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

  /// Says that nothing more will be sent (close_notify), behind the records that have gathered; the
  /// next flush sends it.
  /// - Returns: false when the kernel had no room for it: to be called again, which sends it once.
  func notifyClose() -> Bool {
    ERR_clear_error()
    let result = SSL_shutdown(session)
    if result < 0, case .wantsWrite = outcome(of: result) { return false }
    ERR_clear_error()
    return true
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
  /// In a box: the sessions of a server, of which there are many, have none.
  private final class TicketDestination {
    let store: ClientSessions
    let server: ClientSessions.Server

    init(store: ClientSessions, server: ClientSessions.Server) {
      self.store = store
      self.server = server
    }
  }

  /// Writes at most one record of bytes and a few of a file, or with the kernel's records as much as
  /// it takes.
  ///
  /// A record that met a full socket is inside OpenSSL already and leaves with the next call, which
  /// must offer the same bytes again: so what is offered depends on the segment alone. The port is
  /// never full.
  func write(
    _ segment: OutputQueue.Segment, to socket: borrowing Socket, pool: BufferPool,
    byteCountMax: Int
  ) -> SegmentOutcome {
    switch segment {
    case .buffer(let buffer, let unsent):
      return write(UnsafeRawBufferPointer(rebasing: buffer[unsent]))
    case .array(let array, let unsent):
      return array.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[unsent])) }
    case .file(let file, let unsent):
      return kernelSends
        ? sendFile(file, unsent, to: socket, byteCountMax: byteCountMax)
        : write(file, unsent, byteCountMax: byteCountMax)
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

  /// Through user space: from the page cache into the port's window, and from there as records.
  private func write(
    _ file: OpenFile, _ unsent: Range<Int>, byteCountMax: Int
  ) -> SegmentOutcome {
    guard let port else { preconditionFailure("records that the kernel does not make gather") }
    let asked = min(unsent.count, byteCountMax, port.window.count)
    let window = UnsafeMutableRawBufferPointer(rebasing: port.window[..<asked])
    do throws(SystemError) {
      guard try file.read(into: window, at: unsent.lowerBound) == asked else {
        return .failed(.fileTooShort)
      }
    } catch {
      return .failed(.failed(error))
    }
    var written = 0
    while written < asked {
      // Each call makes one record.
      switch write(UnsafeRawBufferPointer(rebasing: window[written...])) {
      case .wrote(let count, _): written += count
      case .blocked: preconditionFailure("the port takes every record")
      case .failed(let reason): return .failed(reason)
      }
    }
    return .wrote(asked, asked: asked)
  }

  private func sendFile(
    _ file: OpenFile, _ unsent: Range<Int>, to socket: borrowing Socket, byteCountMax: Int
  ) -> SegmentOutcome {
    ERR_clear_error()
    let asked = min(unsent.count, byteCountMax)
    // OpenSSL has no word for why the kernel refused, so `errno` says it.
    let outcome = socket.sendFile(byteCount: asked) { count in
      SSL_sendfile(session, file.rawDescriptor, off_t(unsent.lowerBound), count, 0)
    }
    switch outcome {
    case .bytes(0): return .failed(.fileTooShort)
    case .bytes(let count): return .wrote(count, asked: asked)
    case .wouldBlock: return .blocked
    case .failed(let error): return .failed(OutputQueue.reason(error))
    }
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
