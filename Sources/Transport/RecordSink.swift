import COpenSSL
import Posix

/// Where OpenSSL's records go when the kernel does not make them: into the loop's write buffer, so
/// that several leave with one call. What the kernel does not take is kept here; between two calls
/// of a session the loop's buffer is empty.
final class RecordSink {
  /// Records are sent when so many bytes have gathered: four full ones.
  static let flushByteCount = 64 * 1024

  private let buffer: UnsafeMutableRawBufferPointer
  private var byteCount = 0
  /// Begins at `keptOffset`. Small: a session encrypts no more while something is kept.
  private var kept: [UInt8] = []
  private var keptOffset = 0

  init(_ buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

  var isFull: Bool { byteCount >= Self.flushByteCount }
  var isEmpty: Bool { byteCount == 0 && kept.isEmpty }

  /// A BIO for one session, which must not outlive the sink.
  func makeBIO() -> OpaquePointer {
    guard let bio = BIO_new(Self.method) else { preconditionFailure("out of memory") }
    BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
    BIO_set_init(bio, 1)
    return bio
  }

  /// Made once. The callbacks get the sink from the BIO.
  private nonisolated(unsafe) static let method: OpaquePointer? = {
    let method = BIO_meth_new(spate_bio_sink, "sink")
    BIO_meth_set_write_ex(method) { bio, bytes, count, written in
      guard let bio, let bytes, let written, let data = BIO_get_data(bio) else { return 0 }
      let sink = Unmanaged<RecordSink>.fromOpaque(data).takeUnretainedValue()
      sink.append(UnsafeRawBufferPointer(start: bytes, count: count))
      written.pointee = count
      return 1
    }
    BIO_meth_set_ctrl(method) { _, command, _, _ in command == spate_bio_flush ? 1 : 0 }
    return method
  }()

  private func append(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= buffer.count - byteCount else { return keep(bytes) }
    UnsafeMutableRawBufferPointer(rebasing: buffer[byteCount...].prefix(bytes.count))
      .copyMemory(from: bytes)
    byteCount += bytes.count
  }

  /// Everything gathered joins what is kept.
  private func keep(_ bytes: UnsafeRawBufferPointer) {
    kept.append(contentsOf: buffer[..<byteCount])
    kept.append(contentsOf: bytes)
    byteCount = 0
  }

  /// Sends what the kernel takes and keeps the rest.
  /// - Returns: `.bytes` when nothing is left.
  func flush(to socket: borrowing Socket) -> WriteOutcome {
    if !kept.isEmpty {
      if byteCount > 0 { keep(UnsafeRawBufferPointer(start: nil, count: 0)) }
      return flushKept(to: socket)
    }
    guard byteCount > 0 else { return .bytes(0) }
    let gathered = UnsafeRawBufferPointer(rebasing: buffer[..<byteCount])
    byteCount = 0
    let outcome = socket.send(gathered, moreFollows: false)
    switch outcome {
    case .bytes(gathered.count), .failed: return outcome
    case .bytes(let count):
      kept.append(contentsOf: gathered[count...])
      return .wouldBlock
    case .wouldBlock:
      kept.append(contentsOf: gathered)
      return .wouldBlock
    }
  }

  private func flushKept(to socket: borrowing Socket) -> WriteOutcome {
    let outcome = kept.withUnsafeBytes { bytes in
      socket.send(UnsafeRawBufferPointer(rebasing: bytes[keptOffset...]), moreFollows: false)
    }
    guard case .bytes(let count) = outcome else { return outcome }
    keptOffset += count
    guard keptOffset == kept.count else { return .wouldBlock }
    kept = []
    keptOffset = 0
    return outcome
  }
}
