import CLibevent
import Posix

/// Told when a descriptor is ready.
package protocol WatchHandler: AnyObject {
  func watchIsReady(_ watch: Watch)
}

/// One direction of one descriptor's readiness, level-triggered: it is told again each turn for as
/// long as the descriptor is ready and the watch is on. Turning it on or off costs a system call,
/// leaving it on costs none.
package final class Watch {
  package enum Direction: Sendable {
    case read
    case write
  }

  private let event: UnsafeMutablePointer<event>
  // The handler owns the watch, so it outlives it.
  private unowned(unsafe) let handler: any WatchHandler
  private let base: EventBase
  package private(set) var isOn = false

  /// The descriptor stays open while the watch lives. Starts off.
  package init(
    _ loop: EventLoop, _ descriptor: Int32, _ direction: Direction, handler: any WatchHandler
  ) {
    base = loop.eventBase
    self.handler = handler
    event = .allocate(capacity: 1)
    event.initialize(to: CLibevent.event())
    let kind =
      switch direction {
      case .read: spate_ev_read
      case .write: spate_ev_write
      }
    let result = event_assign(
      event, base.pointer, descriptor, kind | spate_ev_persist,
      { _, _, context in
        guard let context else { return }
        Unmanaged<Watch>.fromOpaque(context).takeUnretainedValue().becameReady()
      }, Unmanaged.passUnretained(self).toOpaque())
    precondition(result == 0)
  }

  deinit {
    event_del(event)
    event.deallocate()
  }

  /// - Returns: false, and nothing is watched, when the kernel has no memory for one more or the
  ///   user's limit of watches is reached.
  @discardableResult
  package func turnOn() -> Bool {
    guard !isOn else { return true }
    guard SystemCalls.injectedFailure("epoll_ctl") == nil, spate_event_add(event, -1) == 0 else {
      return false
    }
    isOn = true
    return true
  }

  /// For what is set up at start, where there is nothing to fall back on.
  func turnOnOrThrow() throws(SystemError) {
    guard turnOn() else { throw SystemError(code: SystemError.noSpace, call: "epoll_ctl") }
  }

  package func turnOff() {
    guard isOn else { return }
    event_del(event)
    isOn = false
  }

  func becameReady() {
    let handler = handler
    withExtendedLifetime(handler) { handler.watchIsReady(self) }
  }
}
