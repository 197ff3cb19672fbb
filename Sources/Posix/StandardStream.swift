import CLinux

/// Standard output and error, unbuffered: what was written has left the process.
package enum StandardStream: Int32, Sendable {
  case output = 1
  case error = 2

  /// Writes all of it. A reader that is gone is no error of ours.
  package func write(_ text: String) {
    var text = text
    text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
  }

  package func write(_ bytes: UnsafeRawBufferPointer) {
    var done = 0
    while done < bytes.count {
      let count = systemCall("write", limit: bytes.count - done) { limit in
        CLinux.write(rawValue, bytes.baseAddress! + done, limit)
      }
      if count == -Int(EAGAIN) {
        // The terminal's owner made it non-blocking: wait until it takes more.
        var wait = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
        _ = systemCall("poll") { poll(&wait, 1, -1) }
        continue
      }
      guard count > 0 else { return }
      done += count
    }
  }

  package var isTerminal: Bool { isatty(rawValue) == 1 }

  /// Nil when it is no terminal.
  package var columnCount: Int? {
    let columns = spate_terminal_columns(rawValue)
    return columns > 0 ? Int(columns) : nil
  }
}
