import Content
import Posix
import Synchronization

/// A thread that takes a turn when it is woken or when the time its last turn asked for has passed,
/// and rests in between.
final class Attendant: Sendable {
  private struct State {
    var isWoken = false
    /// The wake is not to wait for others.
    var isHurried = false
    var isStopping = false
    /// Its next turn comes when this is over, woken or not.
    var isGathering = false
    var waitsFor: Duration?
  }

  private let monitor = Monitor()
  private let state = Mutex(State())
  private let thread = Mutex<Thread?>(nil)

  /// - Parameters:
  ///   - gathering: the least time between the end of a turn and the next, so that under load one
  ///     turn serves many wakes. After a quiet time the first wake is answered at once.
  ///   - turn: does what there is to do and says how long to rest at most, nil for until woken. It
  ///     must not hold its owner: an owner that is let go could never end the thread.
  func start(
    name: String, gathering: Duration = .zero, _ turn: @escaping @Sendable () -> Duration?
  ) throws(SystemError) {
    try thread.withLock { thread throws(SystemError) in
      thread = try Thread(name: name) { [self] in
        while rest() {
          let pause = turn()
          state.withLock { $0.waitsFor = pause }
          gather(for: gathering)
        }
      }
    }
  }

  func wake() {
    let isGathering = state.withLock { state in
      state.isWoken = true
      return state.isGathering
    }
    if !isGathering { monitor.withLock { monitor.wakeAll() } }
  }

  /// The same, and the next turn does not wait for more wakes.
  func hurry() {
    state.withLock {
      $0.isWoken = true
      $0.isHurried = true
    }
    monitor.withLock { monitor.wakeAll() }
  }

  /// Asked from inside a long turn.
  var isStopping: Bool { state.withLock { $0.isStopping } }

  /// Lets the turn under way end, then ends the thread, without waiting for it.
  func dismiss() {
    state.withLock { $0.isStopping = true }
    monitor.withLock { monitor.wakeAll() }
  }

  /// Returns when the turn under way and the thread have ended. Never from the thread itself.
  func stop() {
    dismiss()
    let ended = thread.withLock { $0.take() }
    ended?.join()
  }

  private func gather(for duration: Duration) {
    guard duration > .zero else { return }
    let end = Clock.now() + duration
    state.withLock { $0.isGathering = true }
    // What was asked for meanwhile is seen by the rest that follows.
    defer { state.withLock { $0.isGathering = false } }
    monitor.withLock {
      while !state.withLock({ $0.isStopping || $0.isHurried }) {
        let left = end - Clock.now()
        guard left > .zero else { return }
        _ = monitor.wait(atMost: left)
      }
    }
  }

  /// False when the thread is to end.
  private func rest() -> Bool {
    monitor.withLock {
      while true {
        let seen = state.withLock { state in
          defer { (state.isWoken, state.isHurried) = (false, false) }
          return state
        }
        if seen.isStopping { return false }
        if seen.isWoken { return true }
        guard let pause = seen.waitsFor else {
          monitor.wait()
          continue
        }
        if !monitor.wait(atMost: pause) { return !isStopping }
      }
    }
  }
}
