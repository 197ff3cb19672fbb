import Wire

extension ClientConnection {
  /// Where one connection stands in the responses it waits for. Responses come in the order of the
  /// requests; which request is next is the connection's queue, not this machine's business.
  struct StateMachine {
    enum State: Equatable {
      case connecting
      /// Open; the next byte belongs to the head of a response, or nothing is asked.
      case awaitingHead
      case receivingLength(remaining: Int)
      case receivingChunks
      case receivingUntilClose
      case closed
    }

    enum HeadAction: Equatable {
      /// 1xx: the real response is still to come.
      case ignore
      case endResponse
      case receiveBody
    }

    enum EndAction: Equatable {
      /// The end of the connection ends this response properly.
      case endResponse
      /// Whatever was asked and not answered has failed.
      case fail
    }

    private(set) var state = State.connecting
    private(set) var keepsAlive = true

    mutating func connected() {
      precondition(state == .connecting, "a connection connects once")
      state = .awaitingHead
    }

    mutating func receivedHead(_ head: ResponseHead, framing: BodyFraming) -> HeadAction {
      precondition(state == .awaitingHead, "a head comes between responses")
      if head.isInterim { return .ignore }
      if !head.keepsAlive { keepsAlive = false }
      switch framing {
      case .none:
        return .endResponse
      case .length(let length):
        if length == 0 { return .endResponse }
        state = .receivingLength(remaining: length)
      case .chunked:
        state = .receivingChunks
      case .untilClose:
        keepsAlive = false
        state = .receivingUntilClose
      }
      return .receiveBody
    }

    /// Of `available` bytes, how many belong to the body of known length.
    func bodyShare(of available: Int) -> Int {
      guard case .receivingLength(let remaining) = state else { return 0 }
      return min(available, remaining)
    }

    /// Of a body of known length under way.
    var bodyByteCountLeft: Int {
      guard case .receivingLength(let remaining) = state else { return 0 }
      return remaining
    }

    /// True when the body of known length is complete.
    mutating func receivedBody(_ byteCount: Int) -> Bool {
      guard case .receivingLength(let remaining) = state else {
        preconditionFailure("only a body of known length is counted")
      }
      precondition(byteCount <= remaining, "a body is no longer than its length")
      state =
        byteCount == remaining ? .awaitingHead : .receivingLength(remaining: remaining - byteCount)
      return byteCount == remaining
    }

    mutating func receivedLastChunk() {
      precondition(state == .receivingChunks, "chunks end a chunked body")
      state = .awaitingHead
    }

    mutating func endedInput() -> EndAction {
      defer { state = .closed }
      switch state {
      case .receivingUntilClose: return .endResponse
      case .connecting, .awaitingHead, .receivingLength, .receivingChunks, .closed: return .fail
      }
    }

    mutating func closed() { state = .closed }
  }
}
