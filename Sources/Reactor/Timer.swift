package import Content

/// A deadline that is part of the object that waits for it. Moving it to later, what a connection does
/// with each request, and cancelling are a store, nothing more.
package struct Alarm {
  /// When it shall ring; nil when cancelled or done.
  fileprivate(set) var deadline: Instant?
  /// Where the heap has it, -1 when it has not.
  fileprivate var position: Int32 = -1

  package init() {}

  package var isSet: Bool { deadline != nil }

  package mutating func cancel() { deadline = nil }
}

/// Has one deadline on a loop. It takes its alarm out of the loop with `cancel` before it dies.
package protocol AlarmHandler: AnyObject {
  var alarm: Alarm { get set }
  func alarmDidRing()
}

extension EventLoop {
  package func ring(_ handler: some AlarmHandler, after delay: Duration) {
    ring(handler, at: now + max(delay, .zero))
  }

  package func ring(_ handler: some AlarmHandler, at deadline: Instant) {
    handler.alarm.deadline = deadline
    alarms.schedule(handler, at: deadline)
  }

  /// For good: nothing of the handler stays with the loop.
  package func cancel(_ handler: some AlarmHandler) {
    handler.alarm.cancel()
    alarms.remove(handler)
  }
}

/// Runs its body once at a deadline, unless moved or cancelled first.
package final class Timer: AlarmHandler {
  package var alarm = Alarm()
  private let loop: EventLoop
  private let body: () -> Void

  package init(_ loop: EventLoop, _ body: @escaping () -> Void) {
    self.loop = loop
    self.body = body
  }

  deinit { loop.cancel(self) }

  package var deadline: Instant? { alarm.deadline }
  package var isScheduled: Bool { alarm.isSet }

  package func schedule(after delay: Duration) { loop.ring(self, after: delay) }
  package func schedule(at deadline: Instant) { loop.ring(self, at: deadline) }
  package func cancel() { alarm.cancel() }

  package func alarmDidRing() { body() }
}

/// Alarms by deadline: a binary heap whose members know their place. One that was moved to later or
/// cancelled keeps its place until it comes up.
struct AlarmHeap {
  private struct Slot {
    /// Never after the alarm's own.
    var deadline: Instant
    // A handler takes itself out when it dies.
    unowned(unsafe) let handler: any AlarmHandler
  }

  private var slots: ContiguousArray<Slot> = []

  var earliest: Instant? { slots.first?.deadline }

  mutating func schedule(_ handler: some AlarmHandler, at deadline: Instant) {
    let position = Int(handler.alarm.position)
    if position < 0 {
      insert(handler, at: deadline)
    } else if deadline < slots[position].deadline {
      slots[position].deadline = deadline
      siftUp(position)
    }
  }

  mutating func remove(_ handler: some AlarmHandler) {
    let hole = Int(handler.alarm.position)
    guard hole >= 0 else { return }
    handler.alarm.position = -1
    remove(at: hole)
  }

  /// The next that is due, taken out; nil when none is. One that is due is never later than one
  /// returned after it.
  mutating func removeDue(at now: Instant) -> (any AlarmHandler)? {
    while let first = slots.first, first.deadline <= now {
      let handler = first.handler
      handler.alarm.position = -1
      remove(at: 0)
      guard let deadline = handler.alarm.deadline else { continue }
      if deadline <= now {
        handler.alarm.deadline = nil
        return handler
      }
      insert(handler, at: deadline)
    }
    return nil
  }

  private mutating func insert(_ handler: any AlarmHandler, at deadline: Instant) {
    slots.append(Slot(deadline: deadline, handler: handler))
    siftUp(slots.count - 1)
  }

  private mutating func remove(at hole: Int) {
    let last = slots.removeLast()
    guard hole < slots.count else { return }
    place(last, at: hole)
    siftUp(hole)
    siftDown(Int(last.handler.alarm.position))
  }

  private mutating func siftUp(_ start: Int) {
    let moving = slots[start]
    var index = start
    while index > 0 {
      let parent = (index - 1) / 2
      guard moving.deadline < slots[parent].deadline else { break }
      place(slots[parent], at: index)
      index = parent
    }
    place(moving, at: index)
  }

  private mutating func siftDown(_ start: Int) {
    let moving = slots[start]
    var index = start
    while true {
      var child = 2 * index + 1
      guard child < slots.count else { break }
      if child + 1 < slots.count, slots[child + 1].deadline < slots[child].deadline { child += 1 }
      guard slots[child].deadline < moving.deadline else { break }
      place(slots[child], at: index)
      index = child
    }
    place(moving, at: index)
  }

  private mutating func place(_ slot: Slot, at index: Int) {
    slots[index] = slot
    slot.handler.alarm.position = Int32(index)
  }
}
