import Posix
package import Reactor

// MARK: - The loop's calls

extension Stream: WatchHandler, EndOfTurnHandler {
  package func watchIsReady(_ direction: Watch.Direction) {
    let settles = beginEvent()
    react(to: direction)
    if settles { settle() }
  }

  private func react(to direction: Watch.Direction) {
    switch state {
    case .connecting: finishConnecting()
    case .handshaking: continueHandshake()
    case .open, .draining:
      switch direction {
      case .read: tellReadable()
      case .write:
        isBlocked = false
        if !hasUnsentOutput { writeWatch?.turnOff() }
        // A TLS read may have been what waited for room.
        noteBufferedInput()
      }
    case .lingering(let linger): discardInput(linger)
    case .closed: break
    }
  }

  package func turnDidEnd() {
    if owesReadable, !isReadingPaused, canFlush {
      owesReadable = false
      tellReadable()
    }
    settle()
  }

  /// A connection that a listener took, with a handler by now. The first request is often there
  /// already: only when it is not, or when more may come, is the descriptor watched.
  func begin() {
    let settles = beginEvent()
    if case .handshaking = state {
      watchReading()
      if isHandshaking { continueHandshake() }
    } else if canFlush, !isReadingPaused {
      tellReadable()
    }
    if settles { settle() }
    if case .open = state, !isReadingPaused, !hasSeenEnd { watchReading() }
  }

  /// What is sent in `body` leaves when it is over.
  package func sendAtOnce(_ body: () -> Void) {
    let settles = beginEvent()
    body()
    if settles { settle() }
  }

  /// What an event brings is sent before the next one's, while it is at hand and so that a thousand
  /// connections need one buffer; what comes otherwise, at the end of the turn.
  /// - Returns: whether `settle` is to follow; not when the end of the turn will see to it.
  private func beginEvent() -> Bool {
    guard !isScheduled else { return false }
    isScheduled = true
    return true
  }

  private func settle() {
    if hasOutputToFlush { flushOutput() }
    // From here on, what the handler does is for the end of a turn; and so is the rest of a share.
    isScheduled = false
    if hasOutputToFlush || owesReadable && !isReadingPaused && canFlush { schedule() }
    if owesDrained, canFlush, !hasUnsentOutput { didDrain() }
    if case .draining = state, !hasUnsentOutput, saidFarewell() { beginLingering() }
    announceClose()
  }

  private func didDrain() {
    owesDrained = false
    tellHandlerOrEnd { $0.streamDidDrain(self) }
  }

  private func finishConnecting() {
    isBlocked = false
    writeWatch?.turnOff()
    if let error = socket.pendingError { return end(.failed(error)) }
    if tls != nil {
      state = .handshaking
      watchReading()
      if isHandshaking { continueHandshake() }
    } else {
      didOpen(tellsHandler: true)
    }
  }

  private func continueHandshake() {
    guard let tls else { return }
    isBlocked = false
    switch tls.handshake(socket, loop) {
    case .done:
      writeWatch?.turnOff()
      didOpen(tellsHandler: tls.isClient)
      // The first request may have come with the last message of the handshake.
      noteBufferedInput()
    case .wantsRead: writeWatch?.turnOff()
    case .wantsWrite: awaitWritable()
    case .end: end(.remoteClosed)
    case .failed(let failure): end(failure.closeReason)
    }
  }

  private func didOpen(tellsHandler: Bool) {
    state = .open
    if isReadingPaused { readWatch?.turnOff() } else { watchReading() }
    guard canFlush else { return }
    if hasUnsentOutput { schedule() }
    if tellsHandler { tellHandlerOrEnd { $0.streamDidConnect(self) } }
  }
}

// MARK: - Watching and telling

extension Stream {
  func watchReading() {
    if readWatch == nil {
      guard socket.isOpen else { return }
      readWatch = Watch(loop, socket.rawDescriptor, .read, handler: self)
    }
    if readWatch?.turnOn() == false { endUnwatched() }
  }

  func awaitWritable() {
    isBlocked = true
    if writeWatch == nil {
      writeWatch = Watch(loop, socket.rawDescriptor, .write, handler: self)
    }
    if writeWatch?.turnOn() == false { endUnwatched() }
  }

  private func endUnwatched() {
    end(.failed(SystemError(code: SystemError.noSpace, call: "epoll_ctl")))
  }

  /// The handler lives as long as its call, whatever it lets go.
  func tellHandler(_ call: (any StreamHandler) -> Void) {
    guard let handler else { return }
    withExtendedLifetime(handler) { call(handler) }
  }

  func tellHandlerOrEnd(_ call: (any StreamHandler) -> Void) {
    if handler == nil { end(.local) } else { tellHandler(call) }
  }
}

// MARK: - Ending

extension Stream {
  /// TLS says that it ends before the socket does: whether that is with the kernel already.
  private func saidFarewell() -> Bool {
    guard let tls, !hasNotifiedClose else { return true }
    // Of the records that the kernel makes, the last may be partly behind what TCP has taken, where
    // the socket's end would overtake it. A farewell that finds room pushes it ahead of itself.
    guard !tls.kernelSends || socket.hasRoom, tls.notifyClose() else {
      awaitWritable()
      return false
    }
    hasNotifiedClose = true
    _ = tls.flush(to: socket)
    if tls.holdsOutput { awaitWritable() }
    return !tls.holdsOutput
  }

  private func beginLingering() {
    if hasSeenEnd || !lingers || socket.shutdownSending() != nil { return end(.local) }
    let timer = Timer(loop) { [unowned self] in end(.local) }
    timer.schedule(after: lingerDurationMax)
    state = .lingering(Linger(timer))
    writeWatch?.turnOff()
    watchReading()
  }

  private func discardInput(_ linger: Linger) {
    switch socket.receive(into: loop.readBuffer) {
    case .bytes(let count):
      linger.byteCount += count
      if linger.byteCount > Self.lingerByteCountMax { end(.local) }
    case .wouldBlock: break
    case .end, .failed: end(.local)
    }
  }

  /// Terminate: no more callbacks but the last, no more watches. The descriptor closes and the
  /// handler is told when the event is over, or at the end of the turn.
  func end(_ reason: CloseReason) {
    switch state {
    case .closed: return
    case .lingering(let linger): linger.timer.cancel()
    case .connecting, .handshaking, .open, .draining: break
    }
    state = .closed(reason)
    readWatch?.turnOff()
    writeWatch?.turnOff()
    dropOutput()
    schedule()
  }

  private func announceClose() {
    guard case .closed(let reason) = state, !hasAnnouncedClose else { return }
    hasAnnouncedClose = true
    tls?.detach()
    socket.close()
    loop.bury(self)
    tellHandler { $0.streamDidClose(self, reason) }
  }
}

/// What only a stream has that waits for the other side's end.
final class Linger {
  let timer: Timer
  /// Thrown away so far.
  var byteCount = 0

  init(_ timer: Timer) { self.timer = timer }
}
