import Content
import Foundation
import Glibc
import Synchronization
import Wire

/// A peer that speaks the protocol, announces that it has the whole package, and serves flipped bytes
/// in a third of the blocks.
final class CorruptPeer: Sendable {
  let id = PeerID(high: 0x6261_6420_7065_6572, low: 1)
  let port: UInt16
  private let listener: Int32
  private let package: PackageID
  private let geometry: Geometry
  private let bytes: [UInt8]
  private let corrupted = Mutex(0)
  private let refusalsLeft: Mutex<Int>
  private let sockets = Mutex<[Int32]>([])

  /// - Parameter refusalCount: so many requests of clients that do not say which peer they are, the
  ///   origin among them, are refused as by a peer at its upload limit.
  init(serving bytes: [UInt8], refusalCount: Int = 0) throws {
    guard let id = PackageID(hex: packageID(of: bytes)),
      let geometry = Geometry(byteCount: bytes.count)
    else { throw Failure("no package") }
    package = id
    self.geometry = geometry
    self.bytes = bytes
    refusalsLeft = Mutex(refusalCount)
    (listener, port) = try listenOnLoopback()
    Thread.detachNewThread { self.accept() }
  }

  /// Blocks it has spoilt so far.
  var corruptedBlockCount: Int { corrupted.withLock { $0 } }

  func announce(to origin: Origin) throws {
    let report = PackageReport(
      package: package, pieceCount: geometry.pieceCount,
      holdings: .whole(.full(pieceCount: geometry.pieceCount)))
    let announce = Announce(
      peer: id, port: port, site: "", isLeaving: false,
      uploads: UploadLoad(active: 0, limit: 100, byteRate: 1 << 30), reports: [report])
    let body = announce.encode()
    let connection = try Connection(port: origin.port)
    let head =
      "POST /-/announce HTTP/1.1\r\nHost: a\r\nContent-Type: application/vnd.spate\r\n"
      + "Content-Length: \(body.count)\r\n\r\n"
    connection.send(Array(head.utf8) + body)
    let answer = try connection.receive()
    guard answer.status == 200 else { throw Failure("announce: \(answer.status) \(answer.text)") }
  }

  func close() {
    shutdown(listener, Int32(SHUT_RDWR))
    for socket in sockets.withLock({ $0 }) { shutdown(socket, Int32(SHUT_RDWR)) }
  }

  private func accept() {
    while true {
      let client = Glibc.accept(listener, nil, nil)
      guard client >= 0 else { break }
      _ = fcntl(client, F_SETFD, FD_CLOEXEC)
      sockets.withLock { $0.append(client) }
      Thread.detachNewThread { self.serve(Connection(adopting: client)) }
    }
    Glibc.close(listener)
  }

  private func serve(_ connection: Connection) {
    while let head = connection.receiveRequest() {
      let path = head[0].split(separator: " ")[1]
      if path == "/-/have/\(package)" {
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        let bitmap = HaveFrame.bitmap(.full(pieceCount: geometry.pieceCount))
        let frames = HaveFrame.preamble + bitmap.encode()
        connection.send("\(String(frames.count, radix: 16))\r\n")
        connection.send(frames)
        connection.send("\r\n")
      } else if !head.contains(where: { $0.lowercased().hasPrefix("spate-peer:") }), refuses() {
        connection.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
      } else if path == "/-/package/\(package)", let range = requestedRange(head) {
        connection.send(
          "HTTP/1.1 206 Partial Content\r\nContent-Length: \(range.count)\r\n"
            + "Content-Range: bytes \(range.lowerBound)-\(range.upperBound)/\(bytes.count)\r\n\r\n")
        connection.send(spoilt(range))
      } else {
        connection.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
      }
    }
  }

  private func refuses() -> Bool {
    refusalsLeft.withLock { left in
      guard left > 0 else { return false }
      left -= 1
      return true
    }
  }

  private func requestedRange(_ head: [String]) -> ClosedRange<Int>? {
    for line in head where line.lowercased().hasPrefix("range: bytes=") {
      let ends = line.dropFirst("range: bytes=".count).split(separator: "-").compactMap { Int($0) }
      if ends.count == 2, ends[0] <= ends[1], ends[1] < bytes.count { return ends[0]...ends[1] }
    }
    return nil
  }

  private func spoilt(_ range: ClosedRange<Int>) -> [UInt8] {
    var part = Array(bytes[range])
    for block in range.lowerBound / 16_384...range.upperBound / 16_384 where block % 3 == 0 {
      let place = max(block * 16_384 + 7, range.lowerBound)
      guard range.contains(place) else { continue }
      part[place - range.lowerBound] ^= 0x40
      corrupted.withLock { $0 += 1 }
    }
    return part
  }
}
