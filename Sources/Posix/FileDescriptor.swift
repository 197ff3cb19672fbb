import CLinux

/// The one owner of a descriptor: closing it is this value's end, or earlier by `close()`.
package struct FileDescriptor: ~Copyable, Sendable {
  /// For calls made while this value lives; -1 once closed.
  package private(set) var rawValue: Int32

  /// Takes over a descriptor that nothing else will close.
  package init(owning rawValue: Int32) {
    precondition(rawValue >= 0)
    self.rawValue = rawValue
  }

  private init(unchecked rawValue: Int32) { self.rawValue = rawValue }

  static func closed() -> FileDescriptor { FileDescriptor(unchecked: -1) }

  package var isOpen: Bool { rawValue >= 0 }

  /// Closes now; later calls do nothing. Errors of `close` are not reported: what had to reach the
  /// disk was synchronised before, and the descriptor is gone whatever close says.
  package mutating func close() {
    guard rawValue >= 0 else { return }
    // Never retried after EINTR: Linux has released the number already.
    _ = CLinux.close(rawValue)
    rawValue = -1
  }

  deinit {
    if rawValue >= 0 { _ = CLinux.close(rawValue) }
  }
}

extension FileDescriptor {
  static func open(
    _ path: String, flags: Int32, mode: mode_t = 0
  ) throws(SystemError) -> FileDescriptor {
    FileDescriptor(
      owning: Int32(try check("open") { spate_open(path, flags | O_CLOEXEC, mode) }))
  }

  /// `/dev/null`: a descriptor kept in reserve, to be given up when there are no others.
  package static func spare() throws(SystemError) -> FileDescriptor {
    try open("/dev/null", flags: O_RDONLY)
  }
}
