import Foundation
import Glibc
import Synchronization

/// A plain HTTP server with one file, an entity tag and open-ended ranges; everything it does not
/// know is 404, as at any server that is not Spate.
final class RangeServer: Sendable {
  let port: UInt16
  private let listener: Int32
  private let bytes: [UInt8]
  private let parts = Mutex(0)

  init(serving bytes: [UInt8]) throws {
    self.bytes = bytes
    (listener, port) = try listenOnLoopback()
    Thread.detachNewThread { self.accept() }
  }

  /// Answers with 206 so far.
  var partCount: Int { parts.withLock { $0 } }

  func close() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func accept() {
    while true {
      let client = Glibc.accept(listener, nil, nil)
      guard client >= 0 else { break }
      _ = fcntl(client, F_SETFD, FD_CLOEXEC)
      Thread.detachNewThread { self.serve(Connection(adopting: client)) }
    }
    Glibc.close(listener)
  }

  private func serve(_ connection: Connection) {
    while let head = connection.receiveRequest() {
      guard head[0].hasPrefix("GET /file.bin ") else {
        connection.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        continue
      }
      let start = head.compactMap { line -> Int? in
        guard line.lowercased().hasPrefix("range: bytes="), line.hasSuffix("-") else { return nil }
        return Int(line.dropFirst("range: bytes=".count).dropLast())
      }.first
      let isSame = head.contains { $0.lowercased() == "if-range: \"one\"" }
      if let start, isSame, start < bytes.count {
        parts.withLock { $0 += 1 }
        connection.send(
          "HTTP/1.1 206 Partial Content\r\nContent-Length: \(bytes.count - start)\r\n"
            + "Content-Range: bytes \(start)-\(bytes.count - 1)/\(bytes.count)\r\n"
            + "ETag: \"one\"\r\n\r\n")
        connection.send(bytes[start...])
      } else {
        connection.send(
          "HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\nETag: \"one\"\r\n\r\n")
        connection.send(bytes)
      }
    }
  }
}
