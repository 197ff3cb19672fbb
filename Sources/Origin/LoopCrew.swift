import Content
import Logging
import Posix
import Reactor
import Storage
import Swarm
import Synchronization

/// The loops of an origin, one per thread: the first on the thread that started it, which also hears
/// the signals. All listen on the same ports; the kernel spreads the connections.
final class LoopCrew {
  private enum Order: Sendable {
    case drain
    case end
  }

  private let state: OriginState
  private var first: OriginLoop?
  private var boxes: [Mailbox<Order>] = []
  private var threads: [ThreadBox] = []
  /// Threads other than the first one's that still serve, and how they say that they do not.
  private var servingCount = 0
  private var ended: Mailbox<Int>?
  private var firstIsDone = false
  private var signals: [Signal] = []
  private var housekeeping: Timer?
  private var unswept: [PackageID] = []
  private var lastSent: (instant: Instant, byteCount: Int)?

  /// A thread cannot be an array's element.
  private final class ThreadBox {
    var thread: Thread?
    init(_ thread: consuming Thread) { self.thread = consume thread }
  }

  init(_ state: OriginState) { self.state = state }

  /// Listens with all loops.
  /// - Returns: where, with the ports that the kernel picked.
  func start(on endpoints: OriginEndpoints) throws(OriginError) -> OriginEndpoints {
    let count = state.configuration.loopCount
    if count > 1 { try refuseTakenPorts(endpoints) }
    do {
      // Before there are other threads: they inherit that these signals go nowhere else.
      let first = try OriginLoop(state)
      self.first = first
      try listenForSignals(first)
      // The first loop hears the signals: it is the last to stop.
      first.whenDone = { [unowned self] in
        self.firstIsDone = true
        self.stopIfDone()
      }
      ended = try Mailbox(first.loop) { [unowned self] _ in
        self.servingCount -= 1
        self.stopIfDone()
      }
      let actual = try first.listen(on: endpoints, sharesPort: count > 1)
      for number in 1..<max(count, 1) { try startLoop(number, on: actual) }
      scheduleHousekeeping(first)
      return actual
    } catch let error as OriginError {
      dismiss()
      throw error
    } catch let error as SystemError {
      dismiss()
      throw .system("cannot start: \(error)")
    } catch {
      preconditionFailure("only these two are thrown: \(error)")
    }
  }

  /// Sockets that share a port would also share it with another origin, which nobody wants.
  private func refuseTakenPorts(_ endpoints: OriginEndpoints) throws(OriginError) {
    for endpoint in endpoints.all where endpoint.port != 0 {
      do {
        _ = try Socket.listening(on: endpoint, sharesPort: false)
      } catch {
        guard error.isAddressInUse else { continue }
        throw .portTaken(endpoint)
      }
    }
  }

  /// Runs the first loop here until the crew is told to end, then waits for the others.
  func serve() {
    first?.run()
    join()
  }

  private func startLoop(_ number: Int, on endpoints: OriginEndpoints) throws(OriginError) {
    let state = state
    let start = LoopStart<Mailbox<Order>>()
    let ended = ended
    do {
      let thread = try Thread(name: "spate-loop-\(number)") {
        do {
          let loop = try OriginLoop(state)
          _ = try loop.listen(on: endpoints, sharesPort: true)
          start.finish(.success(try Mailbox(loop.loop) { Self.obey($0, loop) }))
          loop.run()
          ended?.post(number)
        } catch let error as OriginError {
          start.finish(.failure(error))
        } catch {
          start.finish(.failure(.system("cannot start a loop: \(error)")))
        }
      }
      threads.append(ThreadBox(thread))
    } catch {
      throw .system("cannot start a thread: \(error)")
    }
    boxes.append(try start.wait())
    servingCount += 1
  }

  private func stopIfDone() {
    if firstIsDone, servingCount == 0 { first?.loop.stop() }
  }

  private static func obey(_ order: Order, _ loop: OriginLoop) {
    switch order {
    case .drain: loop.drain()
    case .end: loop.end()
    }
  }

  private func listenForSignals(_ loop: OriginLoop) throws(SystemError) {
    for number in [SignalDescriptor.terminate, SignalDescriptor.interrupt] {
      signals.append(try Signal(loop.loop, number) { [unowned self] in self.askedToEnd() })
    }
    signals.append(
      try Signal(loop.loop, SignalDescriptor.hangUp) { [unowned self] in
        self.state.reloadCertificates()
      })
  }

  /// The first time responses may finish, the second time not.
  private func askedToEnd() {
    let isSecond = state.isDraining.exchange(true, ordering: .relaxed)
    state.log.info(isSecond ? "ending now" : "draining")
    tell(isSecond ? .end : .drain)
  }

  private func tell(_ order: Order) {
    for box in boxes { box.post(order) }
    if let first { Self.obey(order, first) }
  }

  private func dismiss() {
    for box in boxes { box.post(.end) }
    join()
  }

  private func join() {
    for box in threads {
      if let thread = box.thread.take() { thread.join() }
    }
  }

  // MARK: Housekeeping

  private static let housekeepingInterval = Duration.seconds(1)
  /// Packages looked for in the catalogue each time.
  private static let sweptCountMax = 4

  private func scheduleHousekeeping(_ loop: OriginLoop) {
    let timer = Timer(loop.loop) { [unowned self, unowned loop] in
      self.keepHouse(now: loop.loop.now)
      self.housekeeping?.schedule(after: Self.housekeepingInterval)
    }
    timer.schedule(after: Self.housekeepingInterval)
    housekeeping = timer
  }

  /// Peers and leases whose time is over go, and packages whose file is gone: a few are looked for
  /// each time.
  private func keepHouse(now: Instant) {
    let sent = state.metrics.sentContentByteCount
    if let last = lastSent, now > last.instant {
      let rate = Double(max(0, sent - last.byteCount)) / (now - last.instant).seconds
      state.sendByteRate.store(Int(min(rate, 1e12)), ordering: .relaxed)
    }
    lastSent = (now, sent)
    state.tracker.withLock { $0.expire(now: now) }
    if unswept.isEmpty { unswept = state.tracker.withLock { $0.packageIDs } }
    for id in unswept.suffix(Self.sweptCountMax) where state.catalogue.package(id) == nil {
      state.tracker.withLock { $0.withdraw(id) }
    }
    unswept.removeLast(min(Self.sweptCountMax, unswept.count))
  }
}

/// How a thread tells the one that started it how the start went.
private final class LoopStart<Value: Sendable>: Sendable {
  private let monitor = Monitor()
  private let result = Mutex<Result<Value, OriginError>?>(nil)

  func finish(_ result: Result<Value, OriginError>) {
    monitor.withLock {
      self.result.withLock { $0 = result }
      monitor.wakeAll()
    }
  }

  func wait() throws(OriginError) -> Value {
    let result = monitor.withLock {
      while true {
        if let result = self.result.withLock({ $0 }) { return result }
        monitor.wait()
      }
    }
    return try result.get()
  }
}
