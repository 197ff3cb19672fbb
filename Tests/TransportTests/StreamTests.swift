import Content
import Posix
import Reactor
import Testing

@testable import Transport

/// Plain streams against themselves and against a plain socket.
@Suite struct StreamTests {
  static let addresses = [IPAddress.loopback, IPAddress("::1")!]

  @Test(arguments: addresses) func echoesWhateverTheSplit(_ address: IPAddress) throws {
    let loop = try EventLoop()
    for readByteCount in [1, 3, 7, 64 * 1024] {
      let server = try TestServer(loop, on: address) { recorder in
        recorder.readByteCountMax = readByteCount
        TestServer.echo(recorder)
      }
      let client = Recorder(.connect(loop, to: server.endpoint))
      let parts = [pattern(1), pattern(2, seed: 2), pattern(97, seed: 3), pattern(600, seed: 4)]
      for part in parts {
        client.stream.send(part)
        client.stream.flush()
        loop.turn(waits: false)
      }
      client.stream.shutdownAfterDrain()
      // Not yet connected when asked to: the queue of a stream that never opened is dropped.
      loop.run { client.isClosed }
      let again = Recorder(.connect(loop, to: server.endpoint))
      again.onConnect = { recorder in
        for part in parts { recorder.stream.send(part) }
      }
      again.onReadable = { recorder, _ in
        if recorder.received.count == parts.joined().count { recorder.stream.close() }
      }
      loop.run { again.isClosed }
      #expect(again.received == Array(parts.joined()))
      #expect(again.connectCount == 1)
      #expect(again.closes == [.local])
    }
  }

  @Test func knowsBothEndpoints() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop)
    let client = Recorder(.connect(loop, to: server.endpoint))
    loop.run { client.connectCount == 1 && server.taken.count == 1 }
    #expect(client.stream.remote == server.endpoint)
    #expect(client.stream.local == server.taken[0].stream.remote)
    #expect(server.taken[0].stream.local == server.endpoint)
    #expect(server.endpoint.port != 0)
  }

  @Test func refusedConnectionArrivesAsClose() throws {
    let loop = try EventLoop()
    let endpoint: Endpoint
    do {
      let server = try TestServer(loop)
      endpoint = server.endpoint
      server.listener?.close()
    }
    let client = Recorder(.connect(loop, to: endpoint))
    #expect(client.closes.isEmpty)
    loop.run { client.isClosed }
    guard case .failed(let error) = client.closes[0] else {
      Issue.record("\(client.closes)")
      return
    }
    #expect(error.isConnectionRefused)
  }

  @Test func finishesSendingAfterTheOtherSideEnded() throws {
    let loop = try EventLoop()
    let bytes = pattern(2_000_000)
    let server = try TestServer(loop) { recorder in
      recorder.onEnd = { recorder in
        recorder.stream.send(bytes)
        recorder.stream.shutdownAfterDrain()
      }
    }
    let client = try BlockingClient(server.endpoint)
    client.send("a question")
    client.shutdownSending()
    let reader = ReadToEnd(client)
    loop.run { server.taken.first?.isClosed == true }
    #expect(try reader.result() == bytes)
    #expect(server.taken[0].closes == [.local])
    #expect(server.taken[0].received == Array("a question".utf8))
  }

  @Test func lastWordsAreNotLostToAReset() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop) { recorder in
      recorder.onReadable = { recorder, _ in
        guard recorder.stream.isOpen else { return }
        recorder.stream.send(Array("refused".utf8))
        recorder.stream.shutdownAfterDrain()
      }
    }
    let client = try BlockingClient(server.endpoint)
    // Much more than the server reads before it gives its answer.
    client.send(pattern(100_000))
    loop.run { server.taken.first?.stream.isOpen == false }
    client.send(pattern(100_000))
    loop.turn(waits: true)
    #expect(client.receive(100) == Array("refused".utf8))
    #expect(client.receive(100) == [])
    client.close()
    loop.run { server.taken[0].isClosed }
    #expect(server.taken[0].closes == [.local])
  }

  @Test func aResetIsTheOtherSidesDoing() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop)
    let client = Recorder(.connect(loop, to: server.endpoint))
    loop.run { client.connectCount == 1 && server.taken.count == 1 }
    client.stream.send([1, 2, 3])
    // Unread input makes the close a reset.
    server.taken[0].stream.send([4, 5])
    server.taken[0].stream.flush()
    client.stream.flush()
    client.stream.pauseReading()
    client.stream.close()
    loop.run { server.taken[0].isClosed }
    #expect(server.taken[0].closes == [.remoteClosed])
  }

  @Test func pausedStreamSlowsItsSender() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop) { $0.stream.pauseReading() }
    let client = Recorder(.connect(loop, to: server.endpoint))
    let bytes = pattern(3_000_000)
    try client.stream.setKernelBufferByteCounts(send: 64 * 1024)
    client.onConnect = { $0.stream.send(bytes) }
    loop.run { client.connectCount == 1 && server.taken.count == 1 }
    var before = -1
    while client.stream.sentByteCount != before {
      before = client.stream.sentByteCount
      for _ in 0..<10 { loop.turn(waits: false) }
    }
    #expect(server.taken[0].received.isEmpty)
    #expect(client.stream.queuedByteCount > 0)
    #expect(client.stream.queuedByteCount + client.stream.sentByteCount == bytes.count)
    server.taken[0].stream.resumeReading()
    loop.run { server.taken[0].received.count == bytes.count }
    #expect(server.taken[0].received == bytes)
    #expect(client.drainCount == 1)
  }

  @Test func anAnswerTakesOneTurn() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop, TestServer.echo)
    let client = try BlockingClient(server.endpoint)
    loop.run { server.taken.count == 1 }
    client.send("x")
    loop.run { server.taken[0].drainCount == 1 }
    #expect(client.receive(10) == Array("x".utf8))
    // Nothing is left for a further turn, which would not wait for the kernel.
    #expect(!loop.hasWorkForNextTurn)
  }

  @Test func aThousandConnections() throws {
    let loop = try EventLoop()
    _ = try Process.setOpenFileLimit()
    let server = try TestServer(loop, TestServer.echo)
    let clients = (0..<1000).map { _ in Recorder(.connect(loop, to: server.endpoint)) }
    for (index, client) in clients.enumerated() {
      let bytes = pattern(200, seed: UInt64(index + 1))
      client.onConnect = { $0.stream.send(bytes) }
      client.onReadable = { recorder, _ in
        if recorder.received == bytes { recorder.stream.shutdownAfterDrain() }
      }
    }
    loop.run { clients.allSatisfy(\.isClosed) && server.taken.count == 1000 }
    loop.run { server.taken.allSatisfy(\.isClosed) }
    #expect(clients.allSatisfy { $0.closes == [.local] && $0.received.count == 200 })
    #expect(server.taken.allSatisfy { $0.closes == [.local] })
  }
}

/// Reads a blocking client to its end on a thread of its own.
final class ReadToEnd {
  private final class Box: @unchecked Sendable {
    let client: BlockingClient
    var bytes: [UInt8] = []
    init(_ client: BlockingClient) { self.client = client }
  }

  private let box: Box
  private var thread: Thread?

  init(_ client: BlockingClient, chunkByteCount: Int = 65536) {
    let box = Box(client)
    self.box = box
    do {
      thread = try Thread(name: "reader") {
        while let bytes = box.client.receive(chunkByteCount), !bytes.isEmpty { box.bytes += bytes }
        box.client.shutdownSending()
      }
    } catch {
      Issue.record(error)
    }
  }

  func result() throws -> [UInt8] {
    if let thread = thread.take() { thread.join() }
    return box.bytes
  }
}
