import CLibevent
import Posix

/// Told when a descriptor is ready.
package protocol WatchHandler: AnyObject {
  func watchIsReady(_ direction: Watch.Direction)
}

/// One direction of one descriptor's readiness, level-triggered: it is told again each turn for as
/// long as the descriptor is ready and the watch is on. Turning it on or off costs a system call,
/// leaving it on costs none.
package struct Watch: ~Copyable {
  package enum Direction: Sendable {
    case read
    case write
  }

  private let slot: UnsafeMutablePointer<WatchSlot>

  /// The descriptor stays open while the watch is on. Starts off.
  /// - Parameter handler: owns the watch, or outlives it.
  package init(
    _ loop: EventLoop, _ descriptor: Int32, _ direction: Direction, handler: any WatchHandler
  ) {
    let base = loop.eventBase
    slot = base.takeSlot()
    slot.initialize(to: WatchSlot(event: CLibevent.event(), handler: handler))
    let kind =
      switch direction {
      case .read: spate_ev_read
      case .write: spate_ev_write
      }
    let result = event_assign(
      Self.event(slot), base.pointer, descriptor, kind | spate_ev_persist,
      { _, what, context in
        guard let context else { return }
        let handler = context.assumingMemoryBound(to: WatchSlot.self).pointee.handler
        withExtendedLifetime(handler) {
          handler.watchIsReady(what & spate_ev_write != 0 ? .write : .read)
        }
      }, UnsafeMutableRawPointer(slot))
    precondition(result == 0)
  }

  deinit {
    event_del(Self.event(slot))
    EventBase.giveBack(slot)
  }

  private static func event(_ slot: UnsafeMutablePointer<WatchSlot>) -> UnsafeMutablePointer<event>
  {
    UnsafeMutableRawPointer(slot).assumingMemoryBound(to: CLibevent.event.self)
  }

  package var isOn: Bool { spate_event_is_added(Self.event(slot)) != 0 }

  /// - Returns: false, and nothing is watched, when the kernel has no memory for one more or the
  ///   user's limit of watches is reached.
  @discardableResult
  package func turnOn() -> Bool {
    guard !isOn else { return true }
    return SystemCalls.injectedFailure("epoll_ctl") == nil
      && spate_event_add(Self.event(slot), -1) == 0
  }

  /// For what is set up at start, where there is nothing to fall back on.
  func turnOnOrThrow() throws(SystemError) {
    guard turnOn() else { throw SystemError(code: SystemError.noSpace, call: "epoll_ctl") }
  }

  package func turnOff() {
    if isOn { event_del(Self.event(slot)) }
  }
}
