import CLinux

/// An `eventfd`: any thread makes it readable, one loop watches it.
package struct EventDescriptor: ~Copyable, Sendable {
  private let descriptor: FileDescriptor

  package init() throws(SystemError) {
    descriptor = FileDescriptor(owning: Int32(try check("eventfd") { spate_eventfd() }))
  }

  package var rawDescriptor: Int32 { descriptor.rawValue }

  /// Makes it readable. A counter at its limit is readable already.
  package func signal() { Self.signal(descriptor.rawValue) }

  /// Makes it unreadable again.
  package func clear() {
    var count: UInt64 = 0
    _ = systemCall("read") { read(descriptor.rawValue, &count, MemoryLayout<UInt64>.size) }
  }

  /// Nothing but one `write`: may be called in a signal handler.
  static func signal(_ descriptor: Int32) {
    var one: UInt64 = 1
    _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
  }
}

/// Turns a signal of the process into a readable descriptor, for as long as this object lives. One
/// per signal number at a time.
package final class SignalDescriptor: Sendable {
  package static let terminate = SIGTERM
  package static let interrupt = SIGINT
  package static let hangUp = SIGHUP
  package static let user2 = SIGUSR2

  private let number: Int32
  private let event: EventDescriptor

  package init(_ number: Int32) throws(SystemError) {
    precondition(table.indices.contains(Int(number)) && table[Int(number)] < 0)
    self.number = number
    event = try EventDescriptor()
    table[Int(number)] = event.rawDescriptor
    try check("sigaction") {
      spate_handle_signal(number) { number in
        let savedCode = __errno_location().pointee
        let descriptor = table[Int(number)]
        if descriptor >= 0 { EventDescriptor.signal(descriptor) }
        __errno_location().pointee = savedCode
      }
    }
  }

  deinit {
    _ = spate_default_signal(number)
    table[Int(number)] = -1
  }

  package var rawDescriptor: Int32 { event.rawDescriptor }
  package func clear() { event.clear() }

  /// Sends a signal to this process.
  package static func raise(_ number: Int32) { _ = kill(getpid(), number) }
}

/// By signal number, the descriptor a handler writes to, or -1. The handler can only reach a global;
/// `Int32` loads and stores are whole on every machine this runs on.
private nonisolated(unsafe) let table: UnsafeMutableBufferPointer<Int32> = {
  let table = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 65)
  table.initialize(repeating: -1)
  return table
}()
