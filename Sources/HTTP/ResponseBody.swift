import Content
package import Posix

/// What follows the head of a response, all of it known when the head is written.
package enum ResponseBody {
  case empty
  case bytes([UInt8])
  case file(FileSlice)
  /// Several pieces one after the other: the parts of a multi-range response.
  case parts([BodyPart])

  package enum BodyPart {
    case bytes([UInt8])
    case file(FileSlice)

    var byteCount: Int {
      switch self {
      case .bytes(let bytes): bytes.count
      case .file(let slice): slice.range.count
      }
    }
  }

  package var byteCount: Int {
    switch self {
    case .empty: 0
    case .bytes(let bytes): bytes.count
    case .file(let slice): slice.range.count
    case .parts(let parts): parts.reduce(0) { $0 + $1.byteCount }
    }
  }
}

/// Told once how a response went: for counters and for upload slots.
package protocol ResponseObserver: AnyObject {
  /// `sentByteCount` of the body's bytes were handed to the kernel; all of them when `isComplete`.
  func responseEnded(on connection: ServerConnection, sentByteCount: Int, isComplete: Bool)
}

/// Feeds a body that grows while it is sent, and hears when there is room for more.
package protocol BodySource: AnyObject {
  /// Everything appended so far was handed to the kernel.
  func bodyDrained(on connection: ServerConnection)
  /// The client is gone or the response is over; nothing more is to be appended.
  func bodyClosed(on connection: ServerConnection)
}
