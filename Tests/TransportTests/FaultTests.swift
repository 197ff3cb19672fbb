import Content
import Glibc
import Posix
import Reactor
import Testing

@testable import Transport

/// The kernel at its worst, through the funnel. The faults meet only this thread's calls.
@Suite struct FaultTests {
  private static func exchange(
    _ faults: [SystemCalls.Fault]
  ) throws -> (client: Recorder, server: Recorder, expected: [UInt8]) {
    let loop = try EventLoop()
    let directory = try TemporaryDirectory()
    let content = pattern(120_000)
    let file = try directory.file("content", content)
    let whole = try slice(file, 0..<content.count)
    return try SystemCalls.withFaults(faults) {
      let server = try TestServer(loop) { recorder in
        recorder.onReadable = { recorder, _ in
          guard recorder.received.count == 4 else { return }
          recorder.stream.send(Array("head".utf8))
          recorder.stream.send(whole)
          recorder.stream.send(Array("tail".utf8))
          recorder.stream.shutdownAfterDrain()
        }
      }
      let client = Recorder(.connect(loop, to: server.endpoint))
      client.onConnect = { $0.stream.send(Array("ask?".utf8)) }
      client.onEnd = { $0.stream.close() }
      loop.run { client.isClosed && server.taken.first?.isClosed == true }
      return (client, server.taken[0], Array("head".utf8) + content + Array("tail".utf8))
    }
  }

  static let harmless: [[SystemCalls.Fault]] = [
    [.init("recv", .failure(EINTR), times: 5), .init("send", .failure(EINTR), times: 5)],
    [.init("recv", .failure(EAGAIN), times: 5), .init("send", .failure(EAGAIN), times: 5)],
    [.init("send", .limit(1), times: 1000)],
    [.init("recv", .limit(1), times: 1000)],
    [.init("sendfile", .limit(1), times: 300)],
    [.init("sendfile", .limit(1000), times: 1000)],
    [.init("sendfile", .failure(EAGAIN), times: 7), .init("sendfile", .failure(EINTR), times: 3)],
    [.init("preadv2", .failure(EAGAIN), times: 100)],
    [.init("accept4", .failure(EAGAIN)), .init("accept4", .failure(ECONNABORTED))],
  ]

  @Test(arguments: harmless) func everythingArrives(_ faults: [SystemCalls.Fault]) throws {
    let (client, server, expected) = try Self.exchange(faults)
    #expect(client.received == expected)
    #expect(server.closes == [.local])
  }

  /// A head and an array leave with one call, wherever the kernel stops in it.
  @Test(arguments: [1, 3, 4, 5, 9_000, 59_999, 60_003])
  func aCallOfTwoPartsIsCutAnywhere(_ limit: Int) throws {
    let loop = try EventLoop()
    let body = pattern(60_000)
    let faults: [SystemCalls.Fault] = [
      .init("sendmsg", .failure(EINTR)), .init("sendmsg", .limit(limit)),
      .init("send", .failure(EAGAIN), skipping: 1), .init("sendmsg", .failure(EAGAIN)),
    ]
    try SystemCalls.withFaults(faults) {
      let server = try TestServer(loop) { recorder in
        recorder.onReadable = { recorder, _ in
          recorder.stream.send(Array("head".utf8))
          recorder.stream.send(body)
          recorder.stream.send(Array("tail".utf8))
          recorder.stream.shutdownAfterDrain()
        }
      }
      let client = Recorder(.connect(loop, to: server.endpoint))
      client.onConnect = { $0.stream.send([1]) }
      client.onEnd = { $0.stream.close() }
      loop.run { client.isClosed && server.taken.first?.isClosed == true }
      #expect(client.received == Array("head".utf8) + body + Array("tail".utf8))
      #expect(server.taken[0].closes == [.local])
    }
  }

  @Test(arguments: ["send", "sendfile"]) func aResetWhileSending(_ call: String) throws {
    // The client's one send comes first.
    let skipping = call == "send" ? 1 : 0
    let (client, server, expected) = try Self.exchange([
      .init(call, .failure(ECONNRESET), skipping: skipping)
    ])
    #expect(server.closes == [.remoteClosed])
    #expect(client.received.count < expected.count)
  }

  @Test func aDiskErrorWhileSending() throws {
    let (_, server, _) = try Self.exchange([.init("sendfile", .failure(EIO))])
    guard case .failed(let error) = server.closes.first else {
      Issue.record("\(server.closes)")
      return
    }
    #expect(error.code == EIO)
    #expect(error.call.description == "sendfile")
  }

  @Test func noSocketToConnectWith() throws {
    let loop = try EventLoop()
    let endpoint = Endpoint(address: .loopback, port: 9)
    let client = SystemCalls.withFaults([.init("socket", .failure(EMFILE))]) {
      Recorder(.connect(loop, to: endpoint))
    }
    #expect(client.stream.local == nil)
    loop.run { client.isClosed }
    guard case .failed(let error) = client.closes.first else {
      Issue.record("\(client.closes)")
      return
    }
    #expect(error.isOutOfDescriptors)
  }

  @Test func aConnectionThatCannotBeWatchedCloses() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop, TestServer.echo)
    let first = try BlockingClient(server.endpoint)
    SystemCalls.withFaults([.init("epoll_ctl", .failure(ENOSPC))]) {
      loop.run { server.taken.first?.isClosed == true }
    }
    #expect(first.receive(1) == [])
    guard case .failed(let error)? = server.taken.first?.closes.first else {
      Issue.record("not closed for that")
      return
    }
    #expect(error.isOutOfSpace)
    let second = Recorder(.connect(loop, to: server.endpoint))
    second.onConnect = { $0.stream.send([5]) }
    loop.run { second.received == [5] }
  }

  @Test func outOfDescriptorsTurnsAwayPolitely() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop, TestServer.echo)
    server.listener?.refusal = Array("busy".utf8)
    let client = try BlockingClient(server.endpoint)
    client.send("hello")
    SystemCalls.withFaults([.init("accept4", .failure(EMFILE))]) {
      loop.run { server.listener?.refusedCount == 1 }
    }
    #expect(client.receive(100) == Array("busy".utf8))
    #expect(client.receive(100) == [])
    #expect(server.taken.isEmpty)
    // The next one is taken again.
    let next = Recorder(.connect(loop, to: server.endpoint))
    next.onConnect = { $0.stream.send([5]) }
    loop.run { next.received == [5] }
    #expect(server.taken.count == 1)
  }

  @Test func withoutEvenASpareItRestsAndComesBack() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop, TestServer.echo)
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { $0.stream.send([5]) }
    var turnCount = 0
    SystemCalls.withFaults([
      .init("accept4", .failure(EMFILE), times: 2), .init("open", .failure(EMFILE), times: 2),
    ]) {
      loop.run {
        turnCount += 1
        return client.received == [5]
      }
    }
    #expect(server.taken.count == 1)
    // A loop that spun would have turned thousands of times.
    #expect(turnCount < 100)
  }
}
