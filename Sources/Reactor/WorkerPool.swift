package import Posix

/// Threads for what may wait for a disk or takes long: hashing, cold files, name resolution. Work is
/// begun in the order of submission.
package final class WorkerPool: @unchecked Sendable {
  // Unchecked: everything mutable is touched under the monitor only.
  private let monitor = Monitor()
  private var waiting: [@Sendable () -> Void] = []
  private var nextIndex = 0
  private var isStopping = false
  /// Threads that wait for work, and those of them that were told of some.
  private var idleCount = 0
  private var wakingCount = 0
  private var threads: [ThreadBox] = []

  private final class ThreadBox {
    var thread: Thread?
    init(_ thread: consuming Thread) { self.thread = consume thread }
  }

  package init(name: String, threadCount: Int) throws(SystemError) {
    precondition(threadCount > 0)
    for number in 0..<threadCount {
      do {
        threads.append(ThreadBox(try Thread(name: "\(name) \(number)") { self.work() }))
      } catch {
        stop()
        throw error
      }
    }
  }

  /// From any thread. After `stop()` the work is not taken.
  /// - Returns: whether it was taken.
  @discardableResult
  package func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
    let (isTaken, isWake) = monitor.withLock {
      guard !isStopping else { return (false, false) }
      waiting.append(work)
      // One that is at work looks for more by itself, and one that was woken is on its way.
      guard idleCount > wakingCount else { return (true, false) }
      wakingCount += 1
      return (true, true)
    }
    // Not under the lock, on which whoever wakes would wait at once.
    if isWake { monitor.wakeOne() }
    return isTaken
  }

  /// Work not yet begun.
  package var waitingCount: Int { monitor.withLock { waiting.count - nextIndex } }

  /// Does what was submitted, then ends and joins the threads. Idempotent; not from a worker.
  package func stop() {
    monitor.withLock {
      isStopping = true
      monitor.wakeAll()
    }
    for box in threads {
      if let thread = box.thread.take() { thread.join() }
    }
  }

  private func work() {
    while let next = take() { next() }
  }

  private func take() -> (@Sendable () -> Void)? {
    monitor.withLock {
      while nextIndex == waiting.count {
        if isStopping { return nil }
        idleCount += 1
        monitor.wait()
        idleCount -= 1
        wakingCount = max(0, wakingCount - 1)
      }
      let next = waiting[nextIndex]
      nextIndex += 1
      if nextIndex == waiting.count || nextIndex >= 1024 {
        waiting.removeFirst(nextIndex)
        nextIndex = 0
      }
      return next
    }
  }
}
