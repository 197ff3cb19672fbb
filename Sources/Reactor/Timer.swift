package import Content

/// Runs its body once at a deadline, unless moved or cancelled first. Moving a deadline to later,
/// what a connection does with each request, and cancelling are a store, nothing more.
package final class Timer {
  private let loop: EventLoop
  private let body: () -> Void
  /// When it shall fire; nil when cancelled or done.
  package private(set) var deadline: Instant?
  /// Where the heap has it, -1 when it has not.
  fileprivate var position = -1
  /// The deadline it is sorted by, never after `deadline`.
  fileprivate var queuedDeadline = Instant.zero

  package init(_ loop: EventLoop, _ body: @escaping () -> Void) {
    self.loop = loop
    self.body = body
  }

  deinit { if position >= 0 { loop.unschedule(self) } }

  package var isScheduled: Bool { deadline != nil }

  package func schedule(after delay: Duration) { schedule(at: loop.now + max(delay, .zero)) }

  package func schedule(at deadline: Instant) {
    self.deadline = deadline
    if position < 0 || deadline < queuedDeadline { loop.schedule(self, at: deadline) }
  }

  package func cancel() { deadline = nil }

  func fire() {
    deadline = nil
    body()
  }
}

/// Timers by deadline: a binary heap whose members know their place. A timer that was moved to later
/// or cancelled keeps its place until it comes up.
struct TimerHeap {
  // Unmanaged: a timer takes itself out when it dies.
  private var slots: ContiguousArray<Unmanaged<Timer>> = []

  var earliest: Instant? { slots.first.map { $0._withUnsafeGuaranteedRef { $0.queuedDeadline } } }

  mutating func insert(_ timer: Timer, at deadline: Instant) {
    timer.queuedDeadline = deadline
    if timer.position < 0 {
      slots.append(.passUnretained(timer))
      timer.position = slots.count - 1
    }
    siftUp(timer.position)
  }

  mutating func remove(_ timer: Timer) {
    let hole = timer.position
    timer.position = -1
    let last = slots.removeLast()
    guard hole < slots.count else { return }
    place(last, at: hole)
    siftUp(hole)
    siftDown(last._withUnsafeGuaranteedRef { $0.position })
  }

  /// The next timer that is due, taken out; nil when none is. A timer that is due is never later
  /// than one returned after it.
  mutating func removeDue(at now: Instant) -> Timer? {
    while let first = slots.first?.takeUnretainedValue(), first.queuedDeadline <= now {
      remove(first)
      guard let deadline = first.deadline else { continue }
      if deadline <= now { return first }
      insert(first, at: deadline)
    }
    return nil
  }

  private mutating func siftUp(_ start: Int) {
    let moving = slots[start]
    let deadline = key(moving)
    var index = start
    while index > 0 {
      let parent = (index - 1) / 2
      guard deadline < key(slots[parent]) else { break }
      place(slots[parent], at: index)
      index = parent
    }
    place(moving, at: index)
  }

  private mutating func siftDown(_ start: Int) {
    let moving = slots[start]
    let deadline = key(moving)
    var index = start
    while true {
      var child = 2 * index + 1
      guard child < slots.count else { break }
      if child + 1 < slots.count, key(slots[child + 1]) < key(slots[child]) { child += 1 }
      guard key(slots[child]) < deadline else { break }
      place(slots[child], at: index)
      index = child
    }
    place(moving, at: index)
  }

  private func key(_ timer: Unmanaged<Timer>) -> Instant {
    timer._withUnsafeGuaranteedRef { $0.queuedDeadline }
  }

  private mutating func place(_ timer: Unmanaged<Timer>, at index: Int) {
    slots[index] = timer
    timer._withUnsafeGuaranteedRef { $0.position = index }
  }
}
