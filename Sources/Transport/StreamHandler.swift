package import Posix

/// What a stream tells its owner, on the loop's thread. The owner may call anything of the stream
/// from any of these, `close()` too. It keeps the stream until it was told of the close; a stream let
/// go earlier closes silently.
package protocol StreamHandler: AnyObject {
  /// Something can be read, or the end has come. One `read` may be enough: as long as something is
  /// left, and reading is not paused, this is called again next turn.
  func streamIsReadable(_ stream: Stream)

  /// Outbound only: connected, and through the TLS handshake if there is one.
  func streamDidConnect(_ stream: Stream)

  /// Everything sent so far was handed to the kernel.
  func streamDidDrain(_ stream: Stream)

  /// Exactly once, after the event in which it happened, at the latest at the end of the next turn.
  func streamDidClose(_ stream: Stream, _ reason: CloseReason)
}

/// Why a stream closed.
package enum CloseReason: Equatable, Sendable {
  /// `close()` was called, or a `shutdownAfterDrain()` completed.
  case local
  /// The other side reset the connection, or was gone when we sent.
  case remoteClosed
  /// Any other failure of the network or of a file; also a connect that was refused.
  case failed(SystemError)
  /// A file ended before the slice that was to be sent.
  case fileTooShort
  /// The handshake or a record was refused; the text is OpenSSL's or ours, for a log.
  case tls(String)
}

extension CloseReason: CustomStringConvertible {
  package var description: String {
    switch self {
    case .local: "the connection was closed here"
    case .remoteClosed: "the other side closed the connection"
    case .failed(let error): error.description
    case .fileTooShort: "the file became shorter while it was sent"
    case .tls(let reason): "TLS: \(reason)"
    }
  }
}
