import COpenSSL
import Posix
import Reactor

/// The way between OpenSSL and the sockets of one loop, where the kernel does not make the records.
/// All sessions of the loop share it, since only one of them is called at a time: what a session
/// reads comes from the socket whose call runs, and what it writes gathers in the loop's write
/// buffer, so that several records leave with one call. Between two calls it holds nothing.
final class RecordPort {
  /// Records are sent when so many bytes have gathered: eight full ones. What a connection keeps that
  /// its kernel does not take is little more.
  static let flushByteCount = 128 * 1024
  /// What is read of a file at once: four full records.
  static let windowByteCount = 4 * TLSSession.recordByteCountMax

  /// Each session holds a reference of OpenSSL's own; they live on this loop, as this does.
  let bio: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer
  /// For bytes of a file on their way into records; empty again when the call that filled it returns.
  let window = UnsafeMutableRawBufferPointer.allocate(
    byteCount: RecordPort.windowByteCount, alignment: 4096)
  private var byteCount = 0
  /// What did not fit behind the rest, in the same order.
  private var overflow: [UInt8] = []
  private var descriptor: Int32 = -1
  /// The socket gave less than it was asked for: asking again in the same call brings nothing.
  private var isDry = false
  private var hasEnded = false

  /// The loop's, made when first asked for.
  static func of(_ loop: EventLoop) -> RecordPort {
    loop.attachment(RecordPort.self) { RecordPort(loop.writeBuffer) }
  }

  private init(_ buffer: UnsafeMutableRawBufferPointer) {
    guard let bio = BIO_new(Self.method) else { preconditionFailure("out of memory") }
    self.bio = bio
    self.buffer = buffer
    BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
    BIO_set_init(bio, 1)
  }

  deinit {
    BIO_free(bio)
    window.deallocate()
  }

  var isFull: Bool { byteCount >= Self.flushByteCount }
  var isEmpty: Bool { byteCount == 0 && overflow.isEmpty }

  /// Before each call of a session that may read.
  func face(_ socket: borrowing Socket) {
    descriptor = socket.rawDescriptor
    isDry = false
    hasEnded = false
  }

  /// Sends what has gathered, behind what the session keeps from before.
  /// - Parameter kept: gets what the kernel does not take.
  /// - Returns: `.bytes` when nothing is left.
  func flush(to socket: borrowing Socket, behind kept: inout UnsentRecords) -> WriteOutcome {
    let gathered = UnsafeRawBufferPointer(rebasing: buffer[..<byteCount])
    byteCount = 0
    guard kept.isEmpty, overflow.isEmpty else {
      kept.append(gathered)
      overflow.withUnsafeBytes { kept.append($0) }
      overflow = []
      return kept.flush(to: socket)
    }
    guard !gathered.isEmpty else { return .bytes(0) }
    let outcome = socket.send(gathered, moreFollows: false)
    switch outcome {
    case .bytes(gathered.count), .failed: return outcome
    case .bytes(let count): kept.append(UnsafeRawBufferPointer(rebasing: gathered[count...]))
    case .wouldBlock: kept.append(gathered)
    }
    return .wouldBlock
  }

  // MARK: OpenSSL's calls

  /// Made once. The callbacks get the port from the BIO.
  private nonisolated(unsafe) static let method: OpaquePointer? = {
    let method = BIO_meth_new(spate_bio_port, "port")
    BIO_meth_set_write_ex(method) { bio, bytes, count, written in
      guard let bio, let bytes, let written, let port = RecordPort.of(bio) else { return 0 }
      BIO_clear_flags(bio, spate_bio_retry)
      port.append(UnsafeRawBufferPointer(start: bytes, count: count))
      written.pointee = count
      return 1
    }
    BIO_meth_set_read_ex(method) { bio, bytes, count, done in
      guard let bio, let bytes, let done, let port = RecordPort.of(bio) else { return 0 }
      BIO_clear_flags(bio, spate_bio_retry)
      switch port.receive(UnsafeMutableRawBufferPointer(start: bytes, count: count)) {
      case .bytes(let received):
        done.pointee = received
        return 1
      case .wouldBlock: BIO_set_flags(bio, spate_bio_retry_read)
      case .end, .failed: break
      }
      return 0
    }
    BIO_meth_set_ctrl(method) { bio, command, _, _ in
      switch command {
      case spate_bio_flush: 1
      case spate_bio_end: bio.flatMap { RecordPort.of($0) }?.hasEnded == true ? 1 : 0
      default: 0
      }
    }
    return method
  }()

  private static func of(_ bio: OpaquePointer) -> RecordPort? {
    guard let data = BIO_get_data(bio) else { return nil }
    return Unmanaged<RecordPort>.fromOpaque(data).takeUnretainedValue()
  }

  private func append(_ bytes: UnsafeRawBufferPointer) {
    guard overflow.isEmpty, bytes.count <= buffer.count - byteCount else {
      return overflow.append(contentsOf: bytes)
    }
    UnsafeMutableRawBufferPointer(rebasing: buffer[byteCount...].prefix(bytes.count))
      .copyMemory(from: bytes)
    byteCount += bytes.count
  }

  private func receive(_ target: UnsafeMutableRawBufferPointer) -> ReadOutcome {
    if isDry || target.isEmpty { return .wouldBlock }
    let outcome = Socket.receive(from: descriptor, into: target)
    switch outcome {
    case .bytes(let count): isDry = count < target.count
    case .end: hasEnded = true
    case .wouldBlock, .failed: break
    }
    return outcome
  }
}

/// Records of one session that the kernel did not take yet. Few: a session encrypts no more while
/// there are any.
struct UnsentRecords {
  private var bytes: [UInt8] = []
  private var offset = 0

  var isEmpty: Bool { bytes.isEmpty }

  mutating func append(_ more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }

  mutating func flush(to socket: borrowing Socket) -> WriteOutcome {
    let outcome = bytes.withUnsafeBytes { all in
      socket.send(UnsafeRawBufferPointer(rebasing: all[offset...]), moreFollows: false)
    }
    guard case .bytes(let count) = outcome else { return outcome }
    offset += count
    guard offset == bytes.count else { return .wouldBlock }
    self = UnsentRecords()
    return outcome
  }
}
