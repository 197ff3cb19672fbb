import CLinux

/// A system call that failed: its `errno` and its name.
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  package let code: Int32
  private let name: StaticString

  package var call: StaticString { name }

  package init(code: Int32, call: StaticString) {
    self.code = code
    name = call
  }

  /// `open: No such file or directory`
  package var description: String { "\(name): \(Self.text(of: code))" }

  /// What to throw for a library that only says it could not.
  package static let noMemory = ENOMEM
  package static let noSpace = ENOSPC
  /// What to say where the fault is in what was received, not in a call.
  package static let protocolError = EPROTO

  package var isNotFound: Bool { code == ENOENT || code == ENOTDIR }
  package var isNameTooLong: Bool { code == ENAMETOOLONG }
  package var isAlreadyThere: Bool { code == EEXIST }
  package var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }
  package var isOutOfSpace: Bool { code == ENOSPC || code == EDQUOT }
  package var isConnectionReset: Bool { code == ECONNRESET || code == EPIPE }
  package var isConnectionRefused: Bool { code == ECONNREFUSED }
  /// No answer will come from there: nobody listens, or no way leads to it.
  package var isUnreachable: Bool {
    isConnectionRefused || isAddressUnavailable || code == EHOSTUNREACH || code == ENETUNREACH
  }
  package var isAddressInUse: Bool { code == EADDRINUSE }
  /// The machine has no such address, or does not speak that version of the protocol.
  package var isAddressUnavailable: Bool { code == EADDRNOTAVAIL || code == EAFNOSUPPORT }
  package var isPermissionDenied: Bool { code == EACCES || code == EPERM }
  /// The path of the name leads out of the root, or through a link that may not be followed.
  package var isOutsideRoot: Bool { code == EXDEV || code == ELOOP }

  package static func == (left: Self, right: Self) -> Bool {
    left.code == right.code && left.name.description == right.name.description
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(code) }

  private static func text(of code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count) == 0 else {
        return "error \(code)"
      }
      return String(cString: base)
    }
  }
}

/// What a non-blocking read came to.
package enum ReadOutcome: Equatable, Sendable {
  /// At least one byte.
  case bytes(Int)
  case wouldBlock
  case end
  case failed(SystemError)
}

/// What a non-blocking write came to; it may have taken fewer bytes than it was given.
package enum WriteOutcome: Equatable, Sendable {
  case bytes(Int)
  case wouldBlock
  case failed(SystemError)
}
