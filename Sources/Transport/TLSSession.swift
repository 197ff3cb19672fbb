import Posix
import Reactor

/// One connection's TLS state.
final class TLSSession {
  enum Outcome {
    case done(Int)
    case wantsRead
    case wantsWrite
    case end
    case failed(TLSFailure)
  }

  let isClient: Bool

  init(isClient: Bool) { self.isClient = isClient }

  func attach(to descriptor: Int32) {}
  func detach() {}
  func handshake() -> Outcome { .failed(.unsupported) }
  var hasBufferedInput: Bool { false }
  func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome { .failed(.unsupported) }
  func write(_ segment: OutputQueue.Segment, pool: BufferPool, byteCountMax: Int) -> SegmentOutcome
  {
    .failed(TLSFailure.unsupported.closeReason)
  }
  func notifyClose() {}
}

enum TLSFailure {
  case unsupported

  var closeReason: CloseReason { .tls("not available") }
}
