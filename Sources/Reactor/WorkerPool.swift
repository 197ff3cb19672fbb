package import Posix

/// Threads for what may wait for a disk or takes long: hashing, cold files, name resolution. Work is
/// begun in the order of submission.
package final class WorkerPool: @unchecked Sendable {
  // Unchecked: everything mutable is touched under the monitor only.
  private let monitor = Monitor()
  private var waiting: [@Sendable () -> Void] = []
  private var nextIndex = 0
  private var isStopping = false
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
    monitor.withLock {
      guard !isStopping else { return false }
      waiting.append(work)
      monitor.wakeOne()
      return true
    }
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
        monitor.wait()
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
