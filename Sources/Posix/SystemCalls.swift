import CLinux
import Synchronization

/// The one funnel: every system call of the program passes here. It retries a call that a signal
/// interrupted, latches `errno` at once, and is where tests make calls fail or come up short.
package enum SystemCalls {
  /// A call that a test wants to go wrong, by name: the `n` times after the first `skipping`.
  package struct Fault: Sendable {
    package enum Effect: Sendable {
      /// The call is not made and fails with this `errno`.
      case failure(Int32)
      /// The call is made, for at most this many bytes.
      case limit(Int)
    }

    fileprivate let call: String
    fileprivate let effect: Effect
    fileprivate var skipping: Int
    fileprivate var remaining: Int

    package init(_ call: String, _ effect: Effect, skipping: Int = 0, times: Int = 1) {
      self.call = call
      self.effect = effect
      self.skipping = skipping
      remaining = times
    }
  }

  /// For tests: faults that the calls of this thread meet while `body` runs. Nested uses replace.
  package static func withFaults<Result>(
    _ faults: [Fault], _ body: () throws -> Result
  ) rethrows -> Result {
    let thread = UInt(pthread_self())
    let outer = plans.withLock { $0.updateValue(faults, forKey: thread) }
    armedCount.add(1, ordering: .sequentiallyConsistent)
    defer {
      armedCount.subtract(1, ordering: .sequentiallyConsistent)
      plans.withLock { $0[thread] = outer }
    }
    return try body()
  }

  /// For calls that a library makes for us: the failure that a test wants there, if any.
  package static func injectedFailure(_ call: StaticString) -> Int32? {
    guard isArmed, case .failure(let code)? = fault(for: call) else { return nil }
    return code
  }

  private static let armedCount = Atomic<Int>(0)
  private static let plans = Mutex<[UInt: [Fault]]>([:])

  @inline(__always)
  fileprivate static var isArmed: Bool { armedCount.load(ordering: .relaxed) != 0 }

  @inline(never)
  fileprivate static func fault(for call: StaticString) -> Fault.Effect? {
    let thread = UInt(pthread_self())
    let name = call.description
    return plans.withLock { plans in
      guard let faults = plans[thread] else { return nil }
      for (index, fault) in faults.enumerated() where fault.call == name {
        if fault.skipping > 0 {
          plans[thread]?[index].skipping -= 1
          return nil
        }
        if fault.remaining > 0 {
          plans[thread]?[index].remaining -= 1
          return fault.effect
        }
      }
      return nil
    }
  }
}

/// Makes the call: its result, or `-errno`.
@inline(__always)
func systemCall<Result: FixedWidthInteger & SignedInteger>(
  _ name: StaticString, _ body: () -> Result
) -> Int {
  systemCall(name, limit: .max) { _ in body() }
}

/// The same for calls that move at most `limit` bytes; the body is told how many it may.
@inline(__always)
func systemCall<Result: FixedWidthInteger & SignedInteger>(
  _ name: StaticString, limit: Int, _ body: (Int) -> Result
) -> Int {
  while true {
    var allowed = limit
    if SystemCalls.isArmed, let fault = SystemCalls.fault(for: name) {
      switch fault {
      case .failure(EINTR): continue
      case .failure(let code): return -Int(code)
      case .limit(let count): allowed = min(limit, count)
      }
    }
    let result = body(allowed)
    if result >= 0 { return Int(truncatingIfNeeded: result) }
    let code = __errno_location().pointee
    if code != EINTR { return -Int(code) }
  }
}

/// Makes the call and throws when it fails.
@inline(__always)
@discardableResult
func check<Result: FixedWidthInteger & SignedInteger>(
  _ name: StaticString, _ body: () -> Result
) throws(SystemError) -> Int {
  let result = systemCall(name, body)
  guard result >= 0 else { throw SystemError(code: Int32(truncatingIfNeeded: -result), call: name) }
  return result
}

/// The same for the calls that return the error number instead of setting `errno`.
func checkCode(_ name: StaticString, _ body: () -> Int32) throws(SystemError) {
  let code = body()
  guard code == 0 else { throw SystemError(code: code, call: name) }
}
