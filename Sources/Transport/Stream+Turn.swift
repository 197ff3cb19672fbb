import Posix
package import Reactor

// MARK: - The loop's calls

extension Stream: WatchHandler, EndOfTurnHandler {
  package func watchIsReady(_ watch: Watch) {
    switch state {
    case .connecting: finishConnecting()
    case .handshaking: continueHandshake()
    case .open, .draining:
      if watch === readWatch {
        tellReadable()
      } else {
        isBlocked = false
        if hasUnsentOutput { flushOutput() } else { watch.turnOff() }
        // Or the farewell.
        if case .draining = state { schedule() }
        // A TLS read may have been what waited for room.
        noteBufferedInput()
      }
    case .lingering: discardInput()
    case .closed: break
    }
  }

  package func turnDidEnd() {
    if hasOutputToFlush { flushOutput() }
    // From here on, what the handler does is for the next turn; and so is the rest of a share.
    isScheduled = false
    if hasOutputToFlush { schedule() }
    if owesReadable, !isReadingPaused, canFlush {
      owesReadable = false
      tellReadable()
      // A connection that was just taken is watched from here on.
      if case .open = state, !isReadingPaused, !hasSeenEnd { turnOn(readWatch) }
    }
    if owesDrained, canFlush, !hasUnsentOutput { didDrain() }
    if case .draining = state, !hasUnsentOutput, saidFarewell() { beginLingering() }
    announceClose()
  }

  private func didDrain() {
    owesDrained = false
    guard let handler else { return end(.local) }
    handler.streamDidDrain(self)
  }

  private func finishConnecting() {
    isBlocked = false
    writeWatch?.turnOff()
    if let error = socket.pendingError { return end(.failed(error)) }
    if tls != nil {
      state = .handshaking
      turnOn(readWatch)
      if isHandshaking { continueHandshake() }
    } else {
      didOpen(tellsHandler: true)
    }
  }

  /// The client's greeting is there when a listener takes its connection: no turn need pass.
  func beginHandshake() {
    if isHandshaking { continueHandshake() }
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
    if isReadingPaused { readWatch?.turnOff() } else { turnOn(readWatch) }
    guard canFlush else { return }
    if hasUnsentOutput { schedule() }
    guard tellsHandler else { return }
    guard let handler else { return end(.local) }
    handler.streamDidConnect(self)
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
    state = .lingering
    writeWatch?.turnOff()
    turnOn(readWatch)
    let timer = Timer(loop) { [unowned self] in end(.local) }
    timer.schedule(after: lingerDurationMax)
    linger = Linger(timer)
  }

  private func discardInput() {
    switch socket.receive(into: loop.readBuffer) {
    case .bytes(let count):
      guard let linger else { return end(.local) }
      linger.byteCount += count
      if linger.byteCount > Self.lingerByteCountMax { end(.local) }
    case .wouldBlock: break
    case .end, .failed: end(.local)
    }
  }

  /// Terminate: no more callbacks but the last, no more watches. The descriptor closes and the
  /// handler is told at the end of the turn.
  func end(_ reason: CloseReason) {
    if case .closed = state { return }
    state = .closed(reason)
    readWatch?.turnOff()
    writeWatch?.turnOff()
    linger?.timer.cancel()
    fileWait = FileWait()
    output.removeAll(to: loop.bufferPool)
    schedule()
  }

  private func announceClose() {
    guard case .closed(let reason) = state, !hasAnnouncedClose else { return }
    hasAnnouncedClose = true
    readWatch = nil
    writeWatch = nil
    linger = nil
    tls?.detach()
    socket.close()
    loop.bury(self)
    handler?.streamDidClose(self, reason)
  }
}

/// What only a stream has that waits for the other side's end.
final class Linger {
  let timer: Timer
  /// Thrown away so far.
  var byteCount = 0

  init(_ timer: Timer) { self.timer = timer }
}
