import Wire

extension ServerConnection {
  /// Where one connection stands between a request and its response.
  ///
  /// Requests are answered strictly in order: while a response is owed or a long one is leaving,
  /// pipelined requests wait unread.
  struct StateMachine {
    enum State: Equatable {
      /// Between requests, or inside a head that is not complete.
      case awaitingHead
      /// A head was accepted; its body is arriving.
      case awaitingBody
      /// The handler has the request and owes the response.
      case awaitingResponse
      /// The head of the response left; the handler appends to its body.
      case streamingBody
      /// The whole response is queued; the next request waits until it has drained.
      case awaitingDrain
      /// The last response is leaving; whatever else arrives is thrown away.
      case closing
      case closed
    }

    enum EndAction: Equatable {
      /// Nothing is owed: the connection ends behind what is queued.
      case finish
      /// The client will send no more but still waits for what it asked.
      case finishResponse
    }

    private(set) var state = State.awaitingHead
    /// The connection may serve another request after this one.
    private(set) var keepsAlive = true
    private(set) var isHeadRequest = false
    /// The client said that this request, which has no body, is its last.
    private(set) var clientEnds = false
    private(set) var inputEnded = false

    /// Bytes of requests that are here already may be looked at now.
    var wantsInput: Bool {
      switch state {
      case .awaitingHead, .awaitingBody: true
      case .awaitingResponse, .streamingBody, .awaitingDrain, .closing, .closed: false
      }
    }

    /// Bytes that are not looked at yet will be.
    var keepsInput: Bool {
      switch state {
      case .awaitingHead, .awaitingBody: true
      case .awaitingResponse, .streamingBody, .awaitingDrain: keepsAlive
      case .closing, .closed: false
      }
    }

    mutating func receivedHead(keepsAlive: Bool, isHeadRequest: Bool, hasBody: Bool) {
      precondition(state == .awaitingHead, "a head arrives between requests")
      self.keepsAlive = keepsAlive
      self.isHeadRequest = isHeadRequest
      clientEnds = !keepsAlive && !hasBody
      state = hasBody ? .awaitingBody : .awaitingResponse
    }

    mutating func receivedBody() {
      precondition(state == .awaitingBody, "a body follows its head")
      state = .awaitingResponse
    }

    /// The request could not be understood; the answer to it is the last one.
    mutating func refused() {
      switch state {
      case .awaitingHead, .awaitingBody, .awaitingResponse:
        keepsAlive = false
        isHeadRequest = false
        clientEnds = false
        state = .awaitingResponse
      case .streamingBody, .awaitingDrain, .closing, .closed:
        preconditionFailure("only a request in progress can be refused")
      }
    }

    mutating func startedStreaming(endsConnection: Bool) {
      precondition(state == .awaitingResponse, "a response answers a request")
      if endsConnection { keepsAlive = false }
      state = .streamingBody
    }

    /// The response is queued to its last byte. `mustDrain`: nothing else may be queued behind it.
    mutating func queuedResponse(endsConnection: Bool, mustDrain: Bool) {
      switch state {
      case .awaitingResponse, .streamingBody:
        if endsConnection { keepsAlive = false }
        state = !keepsAlive ? .closing : mustDrain ? .awaitingDrain : .awaitingHead
      case .awaitingHead, .awaitingBody, .awaitingDrain, .closing, .closed:
        preconditionFailure("one response a request")
      }
    }

    /// True when the connection takes requests again.
    mutating func drained() -> Bool {
      guard state == .awaitingDrain else { return false }
      state = .awaitingHead
      return true
    }

    mutating func endedInput() -> EndAction {
      inputEnded = true
      switch state {
      case .awaitingHead, .awaitingBody: return .finish
      case .awaitingResponse, .streamingBody, .awaitingDrain, .closing, .closed:
        return .finishResponse
      }
    }

    /// The connection ends between requests, or with one that will never be complete.
    mutating func finished() {
      switch state {
      case .awaitingHead, .awaitingBody: state = .closing
      case .awaitingResponse, .streamingBody, .awaitingDrain, .closing, .closed:
        preconditionFailure("a response is owed")
      }
    }

    mutating func closed() { state = .closed }
  }
}
