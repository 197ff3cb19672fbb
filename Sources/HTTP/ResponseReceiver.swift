package import Wire

/// Why a request got no complete response.
package enum RequestFailure: Error, Equatable, Sendable, CustomStringConvertible {
  case connection(String)
  /// Nobody listens there, no way leads there, or it is not whom it should be: to ask again is no
  /// use.
  case unreachable(String)
  /// The server's bytes were not HTTP.
  case malformed(String)
  case timedOut
  /// The caller closed the connection.
  case cancelled

  package var description: String {
    switch self {
    case .connection(let reason), .unreachable(let reason): reason
    case .malformed(let reason): "the server's answer is not HTTP: \(reason)"
    case .timedOut: "the server did not answer in time"
    case .cancelled: "cancelled"
    }
  }
}

/// Who asked: told of the response to one request as it arrives. Exactly one of `responseEnded` and
/// `responseFailed` is the last call.
package protocol ResponseReceiver: AnyObject {
  /// `bytes` are those of the head, valid during the call.
  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection)

  /// Where the next body bytes should land, at least one; nil to be given them in `responseReceived`.
  /// What is offered stays valid until the next call of this receiver.
  func responseBuffer() -> UnsafeMutableRawBufferPointer?

  /// Body bytes: those in the buffer just offered, or elsewhere and valid during the call.
  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection)

  func responseEnded(on connection: ClientConnection)
  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection)
}

extension ResponseReceiver {
  package func responseBuffer() -> UnsafeMutableRawBufferPointer? { nil }
}
