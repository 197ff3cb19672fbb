import CLibevent
package import Content
package import Posix

/// Something that has work at the end of a turn: output that no event of its own brought, a death to
/// announce.
package protocol EndOfTurnHandler: AnyObject {
  func turnDidEnd()
}

/// One thread's loop: waits for readiness and deadlines, runs their callbacks, then the end of the
/// turn. Everything made on a loop belongs to its thread; values reach it through a `Mailbox`.
package final class EventLoop {
  /// Bytes of the buffer that all reads of a loop share.
  package static let readBufferByteCount = 256 * 1024
  package static let writeBufferByteCount = 256 * 1024

  private let base: EventBase
  private let wake: UnsafeMutablePointer<event>
  private var wakeDeadline: Instant?
  var alarms = AlarmHeap()

  /// A turn begins no sooner than this after the one before, and timers ring as much later: most of
  /// the earliest have been moved, and would cut every rest short. What comes in
  /// small parts from many sides is then done together, for which a thread that wakes for each part
  /// would need several times the processor's time. Zero, as at first: every part at once.
  package var gatheringTime = Duration.zero

  private var turnStart: Instant = .zero
  private var isStopping = false
  private var cachedNow: Instant?
  private var cachedWall: (second: Int, until: Instant)?

  // Two lists change places, so that work added while one runs waits for the next turn.
  private var endOfTurn: ContiguousArray<any EndOfTurnHandler> = []
  private var endingTurn: ContiguousArray<any EndOfTurnHandler> = []
  private var beforeEnd: ContiguousArray<any EndOfTurnHandler> = []
  private var onceAtEndOfTurn: [() -> Void] = []
  private var dead: ContiguousArray<AnyObject> = []
  private var attachments: [ObjectIdentifier: AnyObject] = [:]

  /// Where to read into; what it holds is overwritten by whoever reads next.
  package let readBuffer: UnsafeMutableRawBufferPointer
  /// Where to put output together; empty again when the call that filled it returns.
  package let writeBuffer: UnsafeMutableRawBufferPointer
  package let bufferPool = BufferPool()
  /// For slices of files that are not in memory.
  package private(set) lazy var fileReads = FileReads(self)

  package init() throws(SystemError) {
    base = try EventBase()
    readBuffer = .allocate(byteCount: Self.readBufferByteCount, alignment: 4096)
    writeBuffer = .allocate(byteCount: Self.writeBufferByteCount, alignment: 4096)
    wake = .allocate(capacity: 1)
    wake.initialize(to: event())
    // The callback has nothing to do: a turn ends by looking at the timers anyway.
    event_assign(wake, base.pointer, -1, 0, { _, _, _ in }, nil)
  }

  deinit {
    event_del(wake)
    wake.deallocate()
    readBuffer.deallocate()
    writeBuffer.deallocate()
  }

  /// Runs until `stop()`. Not from inside itself.
  package func run() {
    isStopping = false
    while !isStopping { turn(waits: true) }
  }

  /// Ends `run()` after this turn.
  package func stop() { isStopping = true }

  /// One turn.
  /// - Parameter waits: false to run only what is ready now.
  package func turn(waits: Bool) {
    armWake()
    let waits = waits && !hasWorkForNextTurn
    if waits, gatheringTime > .zero { gather() }
    cachedNow = nil
    let result = spate_turn(base.pointer, waits ? 1 : 0)
    precondition(result >= 0, "epoll failed")
    if gatheringTime > .zero { turnStart = now }
    runTimers()
    finishTurn()
  }

  private func gather() {
    Clock.rest(turnStart + gatheringTime - Clock.now())
  }

  /// Something waits for the end of the next turn, which therefore will not wait for the kernel.
  package var hasWorkForNextTurn: Bool {
    !(beforeEnd.isEmpty && endOfTurn.isEmpty && onceAtEndOfTurn.isEmpty && dead.isEmpty)
  }

  /// The monotonic clock, read at most once per turn.
  package var now: Instant {
    if let cachedNow { return cachedNow }
    let now = Clock.now()
    cachedNow = now
    return now
  }

  /// Seconds since 1970, UTC; the clock is read a few times a second at most.
  package var wallSeconds: Int {
    let now = now
    if let cachedWall, now < cachedWall.until { return cachedWall.second }
    let nanoseconds = Clock.wallNanoseconds()
    let (second, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    // Looked at again when the second ends, and well before if somebody sets the clock.
    let wait = min(1_000_000_000 - rest, 250_000_000)
    cachedWall = (Int(second), now + .nanoseconds(wait))
    return Int(second)
  }

  /// Runs the handler's `turnDidEnd` once when this turn ends. The caller sees to it that it is not
  /// listed twice.
  package func atEndOfTurn(_ handler: any EndOfTurnHandler) { endOfTurn.append(handler) }

  /// Runs the handler's `turnDidEnd` once when the events of this turn are over: what it adds is
  /// done at the end of the same turn. The caller sees to it that it is not listed twice.
  package func beforeEndOfTurn(_ handler: any EndOfTurnHandler) { beforeEnd.append(handler) }

  package func atEndOfTurn(once body: @escaping () -> Void) { onceAtEndOfTurn.append(body) }

  /// Keeps an object until the turn is over: nothing dies in its own callback.
  package func bury(_ object: AnyObject) { dead.append(object) }

  private func runTimers() {
    guard alarms.earliest != nil else { return }
    while let handler = alarms.removeDue(at: now) { handler.alarmDidRing() }
  }

  private func finishTurn() {
    if !beforeEnd.isEmpty {
      let handlers = beforeEnd
      beforeEnd = []
      for handler in handlers { handler.turnDidEnd() }
    }
    if !endOfTurn.isEmpty {
      swap(&endOfTurn, &endingTurn)
      for handler in endingTurn { handler.turnDidEnd() }
      endingTurn.removeAll(keepingCapacity: true)
    }
    if !onceAtEndOfTurn.isEmpty {
      let bodies = onceAtEndOfTurn
      onceAtEndOfTurn = []
      for body in bodies { body() }
    }
    if !dead.isEmpty {
      // What dies may bury others in its turn.
      let buried = dead
      dead = []
      withExtendedLifetime(buried) {}
    }
  }

  /// Sees to it that the loop wakes for the earliest timer; costs nothing when that is unchanged.
  private func armWake() {
    guard let earliest = alarms.earliest else {
      if wakeDeadline != nil { event_del(wake) }
      wakeDeadline = nil
      return
    }
    guard wakeDeadline != earliest || event_pending(wake, Int16(EV_TIMEOUT), nil) == 0 else {
      return
    }
    // Rounded up: a wake that comes early would only be armed again.
    let wait = max(0, (earliest - Clock.now()).nanoseconds / 1000 + 1)
    spate_event_add(wake, wait)
    wakeDeadline = earliest
  }
}

extension EventLoop {
  /// What a watch keeps, instead of the loop: the loop keeps watches of its own.
  var eventBase: EventBase { base }

  /// The one object of its type that the loop keeps, made when first asked for.
  package func attachment<Object: AnyObject>(
    _ type: Object.Type, _ make: () -> Object
  ) -> Object {
    if let object = attachments[ObjectIdentifier(type)] as? Object { return object }
    let object = make()
    attachments[ObjectIdentifier(type)] = object
    return object
  }

  /// Keeps an object as long as the loop, or until `detach`.
  func attach(_ object: AnyObject) { attachments[ObjectIdentifier(object)] = object }
  func detach(_ object: AnyObject) {
    if let object = attachments.removeValue(forKey: ObjectIdentifier(object)) { bury(object) }
  }
}
