package import Content
package import Posix
package import Reactor

/// Takes connections on one port for one loop. Several loops may share the port.
package final class Listener: WatchHandler {
  /// Connections taken in one go before the others have their turn.
  static let acceptedPerTurnCountMax = 64
  /// How long it rests when the system can give it no descriptor at all.
  static let restDuration = Duration.milliseconds(100)

  /// The actual one, when port 0 was asked for.
  package let endpoint: Endpoint

  private let loop: EventLoop
  private var socket: Socket
  private let tls: TLSServer?
  private let accept: (Stream) -> Void
  private var watch: Watch?
  private var restTimer: Timer?
  private var isPaused = false
  private var crowd = Crowd()
  private let pool: OutputPool
  // Given up to take, and turn away, a connection when there are no descriptors left.
  private var spare: FileDescriptor?

  /// Sent, on a plain port, to those turned away for want of a descriptor.
  package var refusal: [UInt8] = []
  package private(set) var refusedCount = 0
  package private(set) var acceptedCount = 0

  /// - Parameter accept: keeps the stream, or it closes at once.
  package init(
    _ loop: EventLoop, on endpoint: Endpoint, sharesPort: Bool = false, tls: TLSServer? = nil,
    unsentByteCountMax: Int32? = nil, accept: @escaping (Stream) -> Void
  ) throws(SystemError) {
    let socket = try Socket.listening(on: endpoint, sharesPort: sharesPort)
    // Connections inherit it.
    socket.tune(
      unsentByteCountMax: unsentByteCountMax ?? Stream.kernelUnsentByteCountMax(isTLS: tls != nil))
    if tls != nil { socket.deferAccept() }
    self.loop = loop
    pool = OutputPool.of(loop)
    self.endpoint = socket.localEndpoint ?? endpoint
    self.tls = tls
    self.accept = accept
    spare = try .spare()
    self.socket = socket
    watch = Watch(loop, self.socket.rawDescriptor, .read, handler: self)
    restTimer = Timer(loop) { [unowned self] in endRest() }
    turnOn()
  }

  deinit { close() }

  /// Takes no more for now; the kernel keeps a queue.
  package func pause() {
    isPaused = true
    watch?.turnOff()
  }

  package func resume() {
    isPaused = false
    turnOn()
  }

  /// For good; streams already taken live on. Idempotent.
  package func close() {
    watch?.turnOff()
    restTimer?.cancel()
    watch = nil
    socket.close()
    spare = nil
  }

  package func watchIsReady(_ direction: Watch.Direction) {
    var takenCount = 0
    while takenCount < Self.acceptedPerTurnCountMax, watch?.isOn == true {
      switch socket.accept() {
      case .accepted(let taken, let remote):
        takenCount += 1
        take(taken, from: remote)
        if crowd.isAlone(after: takenCount) { return }
      case .wouldBlock: return crowd.ended(takenCount)
      case .lost: takenCount += 1
      case .failed(let error):
        takenCount += 1
        guard error.isOutOfDescriptors, turnOneAway() else { return rest() }
      }
    }
  }

  private func take(_ taken: consuming Socket, from remote: Endpoint) {
    acceptedCount += 1
    let stream = Stream(
      accepted: taken, loop, pool: pool, remote: remote, tls: tls?.makeSession())
    accept(stream)
    stream.begin()
  }

  /// Gives the spare descriptor up for one connection, refuses that, and gets a spare again.
  private func turnOneAway() -> Bool {
    guard spare != nil else { return false }
    spare = nil
    if case .accepted(var taken, _) = socket.accept() {
      refusedCount += 1
      refuse(&taken)
    }
    do {
      spare = try .spare()
      return true
    } catch {
      return false
    }
  }

  private func refuse(_ taken: inout Socket) {
    if tls == nil, !refusal.isEmpty {
      refusal.withUnsafeBytes { bytes in
        _ = taken.send(bytes, moreFollows: false)
        _ = taken.shutdownSending()
        // What is read is not answered with a reset, which would overtake the refusal.
        _ = taken.receive(into: loop.readBuffer)
      }
    }
    taken.close()
  }

  private func turnOn() {
    if watch?.turnOn() == false { rest() }
  }

  private func rest() {
    watch?.turnOff()
    restTimer?.schedule(after: Self.restDuration)
  }

  private func endRest() {
    if spare == nil {
      do { spare = try .spare() } catch { return rest() }
    }
    if !isPaused { turnOn() }
  }
}

/// Whether connections come one by one. Then asking for another each time would be in vain, and the
/// kernel makes a whole socket before it says so; in a crowd, one wake takes many.
struct Crowd {
  /// Wakes between two looks at whether a second connection waits.
  private static let lookInterval = 16

  private var wakesUntilLook = 0

  /// - Parameter takenCount: in this wake.
  mutating func isAlone(after takenCount: Int) -> Bool {
    guard takenCount == 1, wakesUntilLook > 0 else { return false }
    wakesUntilLook -= 1
    return true
  }

  /// A wake looked until nothing was left.
  mutating func ended(_ takenCount: Int) {
    wakesUntilLook = takenCount > 1 ? 0 : Self.lookInterval
  }
}
