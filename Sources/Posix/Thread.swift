import CLinux
import Content

/// A thread of the operating system. Whoever starts one joins it.
package struct Thread: ~Copyable, Sendable {
  private let handle: pthread_t

  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// - Parameter name: at most 15 bytes are shown by the system's tools.
  package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    var handle = pthread_t()
    do {
      try checkCode("pthread_create") {
        pthread_create(
          &handle, nil,
          { context in
            guard let context else { return nil }
            let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
            _ = pthread_setname_np(pthread_self(), String(start.name.prefix(15)))
            start.body()
            return nil
          }, start.toOpaque())
      }
    } catch {
      start.release()
      throw error
    }
    self.handle = handle
  }

  /// Waits for the body to return. Once, and not from the thread itself.
  package consuming func join() {
    let code = pthread_join(handle, nil)
    precondition(code == 0)
  }
}

/// A lock that a thread can wait under for something to become true.
package final class Monitor: @unchecked Sendable {
  // Unchecked: the two handles are made for use from many threads and never move.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    // Waits are measured on the clock that never steps.
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let codes = (pthread_mutex_init(mutex, nil), pthread_cond_init(condition, &attributes))
    pthread_condattr_destroy(&attributes)
    precondition(codes == (0, 0))
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Inside `withLock`: gives the lock up until woken. May return without cause: ask again.
  package func wait() { pthread_cond_wait(condition, mutex) }

  /// The same, for `duration` of the monotonic clock at most; false when that time has passed.
  package func wait(atMost duration: Duration) -> Bool {
    let end = (Clock.now() + duration).nanoseconds
    var time = timespec(
      tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
    return pthread_cond_timedwait(condition, mutex, &time) == 0
  }

  package func wakeOne() { pthread_cond_signal(condition) }
  package func wakeAll() { pthread_cond_broadcast(condition) }
}
