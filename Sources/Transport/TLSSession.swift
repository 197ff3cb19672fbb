import COpenSSL
import Posix
import Reactor

/// Owns an `SSL`: one connection's TLS, on the connection's own socket. Every call begins with an
/// empty queue of errors, so that what fails is blamed for its own.
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
  private var kernelSends = false
  /// The last read ended for want of room or for want of output: another one may bring something.
  private var mayReadMore = false
  /// A read brought bytes and met the end, or a failure, behind them.
  private var owesOutcome = false

  init(_ session: OpaquePointer, isClient: Bool, keeping kept: AnyObject) {
    self.session = session
    self.isClient = isClient
    self.kept = kept
  }

  deinit { SSL_free(session) }

  func attach(to descriptor: Int32) {
    ERR_clear_error()
    let result = SSL_set_fd(session, descriptor)
    precondition(result == 1, "out of memory")
  }

  /// Before the descriptor closes.
  func detach() {
    SSL_free(session)
    session = nil
  }

  func handshake() -> Outcome {
    ERR_clear_error()
    let result = SSL_do_handshake(session)
    guard result == 1, let session else { return outcome(of: result) }
    kernelSends = spate_tls_kernel_sends(session) == 1
    mayReadMore = true
    return .done(0)
  }

  /// The next read brings something even if the socket has nothing more.
  var hasBufferedInput: Bool {
    guard session != nil else { return false }
    return owesOutcome || mayReadMore && SSL_has_pending(session) == 1
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
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
  func notifyClose() {
    ERR_clear_error()
    _ = SSL_shutdown(session)
    ERR_clear_error()
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
