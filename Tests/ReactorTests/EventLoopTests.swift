import Content
import Posix
import Reactor
import Testing

@Suite struct EventLoopTests {
  private final class Ender: EndOfTurnHandler {
    var count = 0
    var action: (() -> Void)?

    func turnDidEnd() {
      count += 1
      action?()
    }
  }

  @Test func workAddedAtTheEndOfATurnWaitsForTheNext() throws {
    let loop = try EventLoop()
    let ender = Ender()
    ender.action = { if ender.count < 3 { loop.atEndOfTurn(ender) } }
    loop.atEndOfTurn(ender)
    loop.turn(waits: true)
    #expect(ender.count == 1)
    // Does not wait, though nothing is ready.
    loop.turn(waits: true)
    loop.turn(waits: true)
    #expect(ender.count == 3)
    loop.turn(waits: false)
    #expect(ender.count == 3)
    ender.action = nil
  }

  @Test func workAddedBeforeTheEndOfATurnIsDoneAtItsEnd() throws {
    let loop = try EventLoop()
    let (gatherer, ender) = (Ender(), Ender())
    gatherer.action = { loop.atEndOfTurn(ender) }
    loop.beforeEndOfTurn(gatherer)
    loop.turn(waits: true)
    #expect(gatherer.count == 1)
    #expect(ender.count == 1)
    #expect(!loop.hasWorkForNextTurn)
    gatherer.action = nil
  }

  @Test func stopEndsTheRun() throws {
    let loop = try EventLoop()
    var order: [String] = []
    loop.atEndOfTurn(once: {
      order.append("end of turn")
      loop.stop()
    })
    loop.run()
    #expect(order == ["end of turn"])
  }

  @Test func theBuriedLiveUntilTheTurnIsOver() throws {
    let loop = try EventLoop()
    final class Mourned {}
    weak var observed: Mourned?
    var wasAlive = false
    do {
      let mourned = Mourned()
      observed = mourned
      loop.bury(mourned)
    }
    loop.atEndOfTurn(once: { wasAlive = observed != nil })
    loop.turn(waits: true)
    #expect(wasAlive)
    #expect(observed == nil)
  }

  @Test func turnsThatGatherBeginApart() throws {
    let loop = try EventLoop()
    var seen: [Instant] = []
    let box = try Mailbox<Int>(loop) { _ in seen.append(loop.now) }
    loop.gatheringTime = .milliseconds(3)
    for number in 0..<3 {
      box.post(number)
      loop.turn(waits: true)
    }
    #expect(seen.count == 3)
    for (one, next) in zip(seen, seen.dropFirst()) { #expect(next - one >= loop.gatheringTime) }
  }

  @Test func theClockStandsStillDuringATurn() throws {
    let loop = try EventLoop()
    var readings: [Bool] = []
    let timer = Timer(loop) {
      let first = loop.now
      while Clock.now() == first {}
      readings.append(loop.now == first)
    }
    let before = loop.now
    timer.schedule(after: .milliseconds(1))
    while readings.isEmpty { loop.turn(waits: true) }
    #expect(readings == [true])
    loop.turn(waits: false)
    #expect(loop.now > before)
    #expect(abs(loop.wallSeconds - Clock.wallSeconds()) <= 1)
  }

  @Test func aLoopThatIsDroppedIsFreed() throws {
    weak var observed: EventLoop?
    do {
      let loop = try EventLoop()
      observed = loop
      let mailbox = try Mailbox<Int>(loop) { _ in }
      mailbox.post(1)
      loop.turn(waits: true)
    }
    #expect(observed == nil)
  }

  @Test func aWatchTellsForAsLongAsItIsOn() throws {
    final class Counter: WatchHandler {
      var count = 0
      func watchIsReady(_ direction: Watch.Direction) { count += 1 }
    }
    let loop = try EventLoop()
    let event = try EventDescriptor()
    let counter = Counter()
    let watch = Watch(loop, event.rawDescriptor, .read, handler: counter)
    watch.turnOn()
    watch.turnOn()
    loop.turn(waits: false)
    #expect(counter.count == 0)
    event.signal()
    loop.turn(waits: true)
    loop.turn(waits: true)
    #expect(counter.count == 2)
    watch.turnOff()
    watch.turnOff()
    loop.turn(waits: false)
    #expect(counter.count == 2)
    watch.turnOn()
    loop.turn(waits: true)
    #expect(counter.count == 3)
    event.clear()
    loop.turn(waits: false)
    #expect(counter.count == 3)
  }

  @Test func signalsArriveOnTheLoop() throws {
    let loop = try EventLoop()
    var count = 0
    let signal = try Signal(loop, SignalDescriptor.user2) {
      count += 1
      if count == 2 { loop.stop() } else { SignalDescriptor.raise(SignalDescriptor.user2) }
    }
    SignalDescriptor.raise(SignalDescriptor.user2)
    loop.run()
    #expect(count == 2)
    withExtendedLifetime(signal) {}
  }
}
