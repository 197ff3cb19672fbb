import HTTP
import Wire

/// Collects a small response whole and hands it over once: manifests, tree parts, referrals.
final class WholeResponse: ResponseReceiver {
  struct Message {
    let status: Status
    let server: String
    let retryAfter: Duration?
    let location: String?
    let body: [UInt8]

    /// Another implementation of this protocol, or ours, says so in its `Server` field.
    var isFromSpate: Bool { server.hasPrefix("spate") }
  }

  private let byteCountMax: Int
  private let completion: (Result<Message, RequestFailure>) -> Void
  private var head: Message?
  private var body: [UInt8] = []
  private var isOver = false

  /// - Parameter byteCountMax: a longer body fails as malformed.
  init(
    byteCountMax: Int, _ completion: @escaping (Result<Message, RequestFailure>) -> Void
  ) {
    self.byteCountMax = byteCountMax
    self.completion = completion
  }

  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection) {
    self.head = Message(
      status: head.status, server: head.value(of: .server, in: bytes) ?? "",
      retryAfter: head.retryAfter(in: bytes), location: head.value(of: .location, in: bytes),
      body: [])
    // A file where a small document was expected: its head is all that is of use.
    if let length = head.contentLength, length > byteCountMax {
      if let head = self.head { finish(.success(head)) }
      connection.close()
    }
  }

  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {
    guard !isOver else { return }
    guard body.count + bytes.count <= byteCountMax else {
      if let head { finish(.success(head)) }
      connection.close()
      return
    }
    body += bytes
  }

  func responseEnded(on connection: ClientConnection) {
    guard let head else { return }
    finish(
      .success(
        Message(
          status: head.status, server: head.server, retryAfter: head.retryAfter,
          location: head.location, body: body)))
  }

  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) {
    finish(.failure(failure))
  }

  private func finish(_ result: Result<Message, RequestFailure>) {
    guard !isOver else { return }
    isOver = true
    completion(result)
  }
}
