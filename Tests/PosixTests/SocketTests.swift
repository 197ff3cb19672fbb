import Content
import Posix
import Testing

@Suite struct SocketTests {
  /// Two ends of one connection on loopback.
  private func withConnection(_ body: (borrowing Socket, borrowing Socket) throws -> Void) throws {
    let listener = try Socket.listening(
      on: Endpoint(address: .loopback, port: 0), sharesPort: false)
    let endpoint = listener.localEndpoint
    let client = try Socket.connecting(to: #require(endpoint))
    while true {
      switch listener.accept() {
      case .accepted(let server, _): return try body(server, client)
      case .wouldBlock: continue
      case .lost: continue
      case .failed(let error): throw error
      }
    }
  }

  @Test func aFullSocketHasNoRoomUntilTheOtherSideReads() throws {
    try withConnection { server, client in
      let hasRoomAtFirst = server.hasRoom
      #expect(hasRoomAtFirst)
      let bytes = [UInt8](repeating: 7, count: 1 << 20)
      var sentByteCount = 0
      sending: while true {
        switch bytes.withUnsafeBytes({ server.send($0, moreFollows: false) }) {
        case .bytes(let count): sentByteCount += count
        case .wouldBlock: break sending
        case .failed(let error): throw error
        }
      }
      let hasRoomWhenFull = server.hasRoom
      #expect(!hasRoomWhenFull)
      var buffer = [UInt8](repeating: 0, count: 1 << 20)
      while sentByteCount > 0 {
        switch buffer.withUnsafeMutableBytes({ client.receive(into: $0) }) {
        case .bytes(let count): sentByteCount -= count
        case .wouldBlock: continue
        case .end: sentByteCount = 0
        case .failed(let error): throw error
        }
      }
      while !server.hasRoom {}
    }
  }

  @Test func aLibrarysCallIsTreatedLikeOurs() throws {
    try withConnection { server, _ in
      let interrupted = SystemCalls.Fault("sendfile", .failure(4))
      var asked: [Int] = []
      SystemCalls.withFaults([interrupted, .init("sendfile", .limit(10))]) {
        for _ in 0..<2 {
          let outcome = server.sendFile(byteCount: 100) { count in
            asked.append(count)
            return count
          }
          #expect(outcome == .bytes(asked.last ?? -1))
        }
      }
      #expect(asked == [10, 100])
      SystemCalls.withFaults([.init("sendfile", .failure(11))]) {
        let outcome = server.sendFile(byteCount: 100) { $0 }
        #expect(outcome == .wouldBlock)
      }
      let atEnd = server.sendFile(byteCount: 100) { _ in 0 }
      #expect(atEnd == .bytes(0))
    }
  }
}
