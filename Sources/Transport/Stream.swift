package import Content
package import Posix
package import Reactor

/// A TCP connection, plain or TLS, on one loop. What is sent is queued and leaves when the event that
/// the handler was told of is over, or at the end of the turn; no call here waits, and no call here
/// calls the handler back.
package final class Stream {
  /// What a connection may send in one turn before the others have theirs.
  static let sentPerTurnByteCountMax = 1024 * 1024
  /// What the kernel may hold of a connection beyond what is in flight. With little, a connection
  /// fills no buffers that its path cannot empty; records of TLS leave in larger steps.
  static func kernelUnsentByteCountMax(isTLS: Bool) -> Int32 {
    isTLS ? 512 * 1024 : 64 * 1024
  }
  /// What a finished stream throws away while it waits for the other side's end.
  static let lingerByteCountMax = 4 * 1024 * 1024

  // What is not private here is for the stream's other half, in Stream+Turn.swift.

  enum State {
    case connecting
    case handshaking
    case open
    /// Open, and to be shut down once everything is sent.
    case draining
    /// All sent and said so; what arrives is thrown away until the end or the deadline.
    case lingering(Linger)
    // Out of line: every stream would be as large as the longest reason.
    indirect case closed(CloseReason)
  }

  // The order is that of sizes: idle connections are many.

  /// Takes itself out before it dies.
  package unowned(unsafe) var handler: (any StreamHandler)?
  package let loop: EventLoop
  let tls: TLSSession?
  private let pool: OutputPool
  /// Only while something is to be sent.
  private(set) var output: Output?
  var state: State
  var readWatch: Watch?
  var writeWatch: Watch?
  /// Bytes handed to the kernel since the beginning; of TLS, before encryption.
  package private(set) var sentByteCount = 0
  package let remote: Endpoint
  private var lingerMilliseconds: Int32 = 2_000
  var socket: Socket

  var isScheduled = false
  var isReadingPaused = false
  var hasSeenEnd = false
  /// The kernel takes no more; the write watch will tell.
  var isBlocked = false
  var owesDrained = false
  var owesReadable = false
  /// Waits for the other side's end before it closes.
  var lingers = true
  var hasNotifiedClose = false
  /// Said behind output that the handler has yet to hear of.
  var farewellFollowsOutput = false
  var hasAnnouncedClose = false

  /// How long a finished stream waits for the other side's end, so that its last words are not lost
  /// to a reset.
  package var lingerDurationMax: Duration {
    get { .milliseconds(lingerMilliseconds) }
    set { lingerMilliseconds = Int32(newValue.nanoseconds / 1_000_000) }
  }

  private init(
    _ loop: EventLoop, _ socket: consuming Socket, pool: OutputPool, remote: Endpoint,
    state: State, tls: TLSSession?
  ) {
    self.loop = loop
    self.pool = pool
    self.remote = remote
    self.state = state
    self.tls = tls
    self.socket = socket
  }

  deinit {
    // The watches first: they must not outlive the descriptor.
    readWatch = nil
    writeWatch = nil
    dropOutput()
  }

  /// A connection that a listener took, with the options that its listener was tuned to. It does
  /// nothing before `begin()`.
  convenience init(
    accepted socket: consuming Socket, _ loop: EventLoop, pool: OutputPool, remote: Endpoint,
    tls: TLSSession?
  ) {
    tls?.attach(to: socket.rawDescriptor, loop)
    self.init(
      loop, socket, pool: pool, remote: remote, state: tls == nil ? .open : .handshaking, tls: tls)
  }

  /// Begins to connect; success and failure are told to the handler, never before the end of this
  /// turn. How long to wait is the owner's business.
  /// - Parameter fingerprint: with a client for peers, the certificate that must come.
  package static func connect(
    _ loop: EventLoop, to endpoint: Endpoint, tls: TLSClient? = nil, serverName: String? = nil,
    expecting fingerprint: TLSFingerprint? = nil
  ) -> Stream {
    let pool = OutputPool.of(loop)
    do throws(SystemError) {
      let socket = try Socket.connecting(to: endpoint)
      socket.tune(unsentByteCountMax: kernelUnsentByteCountMax(isTLS: tls != nil))
      let session =
        if let fingerprint {
          tls?.makeSession(to: endpoint, expecting: fingerprint)
        } else {
          tls?.makeSession(
            to: endpoint, serverName: serverName ?? endpoint.address.description)
        }
      session?.attach(to: socket.rawDescriptor, loop)
      let stream = Stream(
        loop, socket, pool: pool, remote: endpoint, state: .connecting, tls: session)
      stream.awaitWritable()
      return stream
    } catch {
      let stream = Stream(
        loop, .closed(), pool: pool, remote: endpoint, state: .connecting, tls: nil)
      stream.end(.failed(error))
      return stream
    }
  }

  package var isTLS: Bool { tls != nil }
  /// TLS went on from an earlier session.
  package var isResumed: Bool { tls?.isResumed ?? false }

  package var isOpen: Bool {
    switch state {
    case .connecting, .handshaking, .open, .draining: true
    case .lingering, .closed: false
    }
  }

  /// The TLS handshake has begun and is not through: how long that may take is the owner's business.
  package var isHandshaking: Bool {
    if case .handshaking = state { return true }
    return false
  }

  /// What is to be sent next is being read from a disk: that nothing leaves is not the other side's
  /// fault.
  package var isAwaitingFile: Bool { output?.fileWait.isBlocking ?? false }

  package var local: Endpoint? { socket.isOpen ? socket.localEndpoint : nil }

  /// Bytes sent by the owner that the kernel does not have yet.
  package var queuedByteCount: Int { output?.queue.byteCount ?? 0 }

  /// For tests that want small buffers in the kernel.
  package func setKernelBufferByteCounts(
    send: Int32? = nil, receive: Int32? = nil
  ) throws(SystemError) {
    try socket.setBufferByteCounts(send: send, receive: receive)
  }
}

// MARK: - Reading

extension Stream {
  /// Reads what has arrived. After `.end` the stream stays open for sending, and the handler is not
  /// told of readability again. After a failure it closes by itself.
  /// - Parameter buffer: not empty; the loop's `readBuffer` is meant for this.
  package func read(into buffer: UnsafeMutableRawBufferPointer) -> ReadOutcome {
    switch state {
    case .open, .draining: break
    case .connecting, .handshaking: return .wouldBlock
    case .lingering, .closed: return .end
    }
    if hasSeenEnd { return .end }
    let outcome = receive(into: buffer)
    switch outcome {
    case .bytes, .wouldBlock: break
    case .end:
      hasSeenEnd = true
      readWatch?.turnOff()
    case .failed(let error): end(error.isConnectionReset ? .remoteClosed : .failed(error))
    }
    return outcome
  }

  private func receive(into buffer: UnsafeMutableRawBufferPointer) -> ReadOutcome {
    guard let tls else { return socket.receive(into: buffer) }
    switch tls.read(into: buffer, socket) {
    case .done(let count):
      // An answer of TLS itself that the kernel did not take.
      if tls.holdsOutput { schedule() }
      return .bytes(count)
    case .wantsRead: return .wouldBlock
    case .wantsWrite:
      awaitWritable()
      return .wouldBlock
    case .end: return .end
    case .failed(let failure):
      end(failure.closeReason)
      return .failed(SystemError(code: SystemError.protocolError, call: "SSL_read"))
    }
  }

  /// Stops telling of readability, so that the other side is slowed down.
  package func pauseReading() {
    isReadingPaused = true
    switch state {
    case .open, .draining: readWatch?.turnOff()
    case .connecting, .handshaking, .lingering, .closed: break
    }
  }

  package func resumeReading() {
    isReadingPaused = false
    switch state {
    case .open, .draining:
      if !hasSeenEnd { watchReading() }
      noteBufferedInput()
    case .connecting, .handshaking, .lingering, .closed: break
    }
  }

  /// The handler is told of readability only when so many bytes are there, or the end. For plain
  /// streams: TLS reads parts of records.
  package func setReadableByteCountMin(_ count: Int) {
    guard tls == nil, canFlush else { return }
    socket.setReadableByteCountMin(Int32(clamping: count))
  }

  func tellReadable() {
    tellHandlerOrEnd { $0.streamIsReadable(self) }
    noteBufferedInput()
  }

  /// TLS decrypts whole records: what it holds makes no socket readable, so the turn's end tells.
  func noteBufferedInput() {
    guard let tls, tls.hasBufferedInput, !isReadingPaused, !hasSeenEnd else { return }
    owesReadable = true
    schedule()
  }
}

// MARK: - Sending

extension Stream {
  /// Queues bytes; nothing happens on a stream that is shut down or closed.
  package func send(_ bytes: [UInt8]) {
    guard acceptsOutput, !bytes.isEmpty else { return }
    openOutput().queue.append(bytes, from: loop.bufferPool)
    schedule()
  }

  /// Queues a copy of the bytes.
  package func send(_ bytes: UnsafeRawBufferPointer) {
    guard acceptsOutput, !bytes.isEmpty else { return }
    openOutput().queue.append(bytes, from: loop.bufferPool)
    schedule()
  }

  /// Queues a slice of a file, which is kept open until it is sent. What of it is not in memory is
  /// brought there by workers; only this stream waits for that.
  package func send(_ slice: FileSlice) {
    guard acceptsOutput else { return }
    openOutput().queue.append(slice, from: loop.bufferPool, fillsLastBuffer: tls != nil)
    schedule()
  }

  /// Sends now what can be sent now, instead of at the end of the turn.
  package func flush() {
    if hasOutputToFlush { flushOutput() }
  }

  /// No more will be sent: once the queue is empty says so to the other side, waits a moment for its
  /// end while throwing away what still comes, and closes. A stream that is not open yet closes now.
  /// - Parameter lingers: false to close without waiting, when all that the other side sends was
  ///   read and it said that nothing follows.
  package func shutdownAfterDrain(lingers: Bool = true) {
    switch state {
    case .connecting, .handshaking: end(.local)
    case .open:
      state = .draining
      self.lingers = lingers
      schedule()
    case .draining, .lingering, .closed: break
    }
  }

  /// Closes now; what is queued is lost.
  package func close() { end(.local) }

  private var acceptsOutput: Bool {
    switch state {
    case .connecting, .handshaking, .open: true
    case .draining, .lingering, .closed: false
    }
  }

  var canFlush: Bool {
    switch state {
    case .open, .draining: true
    case .connecting, .handshaking, .lingering, .closed: false
    }
  }

  private var isDraining: Bool {
    if case .draining = state { return true }
    return false
  }

  /// In the queue, or as records that the kernel did not take yet.
  var hasUnsentOutput: Bool { output != nil || tls?.holdsOutput == true }

  /// There is something to send, and nothing known that it has to wait for.
  var hasOutputToFlush: Bool {
    canFlush && !isBlocked && hasUnsentOutput && !isAwaitingFile
  }

  func flushOutput() {
    // Without one there may still be records that the kernel refused.
    let output = openOutput()
    let outcome = output.queue.write(
      to: socket, tls: tls, pool: loop.bufferPool, byteCountMax: Self.sentPerTurnByteCountMax,
      isLast: isDraining && !hasNotifiedClose, now: loop.now)
    if outcome.hasNotifiedClose {
      hasNotifiedClose = true
      farewellFollowsOutput = true
    }
    sentByteCount += outcome.byteCount
    switch outcome.end {
    case .drained:
      isBlocked = false
      writeWatch?.turnOff()
      owesDrained = !hasNotifiedClose || farewellFollowsOutput
      farewellFollowsOutput = false
      schedule()
    case .reachedLimit:
      isBlocked = false
      writeWatch?.turnOff()
      schedule()
    case .blocked: awaitWritable()
    case .absent:
      isBlocked = false
      writeWatch?.turnOff()
      awaitFile(output)
      if !output.fileWait.isBlocking { schedule() }
    case .failed(let reason): return end(reason)
    }
    if output.queue.isEmpty { dropOutput() } else { readAhead(output) }
  }

  private func openOutput() -> Output {
    if let output { return output }
    let opened = pool.take()
    output = opened
    return opened
  }

  /// What is queued is lost; for another stream there is nothing of it left.
  func dropOutput() {
    guard let dropped = output else { return }
    output = nil
    dropped.queue.removeAll(to: loop.bufferPool)
    dropped.fileWait.read = nil
    pool.giveBack(dropped)
  }

  func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    loop.atEndOfTurn(self)
  }
}
