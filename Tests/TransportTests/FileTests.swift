import Content
import Posix
import Reactor
import Testing

@testable import Transport

/// Slices of files between bytes, whole and in every kind of part.
@Suite struct FileTests {
  private static func serve(
    _ loop: EventLoop, _ send: @escaping (Transport.Stream) -> Void
  ) throws -> TestServer {
    try TestServer(loop) { recorder in
      recorder.onReadable = { recorder, _ in
        send(recorder.stream)
        recorder.stream.shutdownAfterDrain()
      }
    }
  }

  @Test func orderOfBytesAndSlicesIsKept() throws {
    let loop = try EventLoop()
    let directory = try TemporaryDirectory()
    let content = pattern(300_000)
    let file = try directory.file("content", content)
    let slices = [0..<10, 5..<8000, 100..<20_000, 0..<300_000, 299_999..<300_000]
    let files = try slices.map { try slice(file, $0) }
    let server = try Self.serve(loop) { stream in
      for (index, slice) in files.enumerated() {
        stream.send(Array("head \(index)".utf8))
        stream.send(slice)
        stream.send(pattern(9_000, seed: UInt64(index)))
      }
    }
    var expected: [UInt8] = []
    for (index, range) in slices.enumerated() {
      expected += Array("head \(index)".utf8) + content[range]
      expected += pattern(9_000, seed: UInt64(index))
    }
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { $0.stream.send([0]) }
    client.onEnd = { $0.stream.close() }
    loop.run { client.isClosed }
    #expect(client.received == expected)
    #expect(server.taken[0].stream.sentByteCount == expected.count)
  }

  @Test func bigFileToASlowReader() throws {
    let loop = try EventLoop()
    let directory = try TemporaryDirectory()
    let content = pattern(2_000_000)
    let file = try directory.file("content", content)
    let whole = try slice(file, 0..<content.count)
    let server = try Self.serve(loop) { stream in
      stream.send(Array("head".utf8))
      stream.send(whole)
      stream.send(Array("tail".utf8))
    }
    let client = try BlockingClient(server.endpoint, receiveByteCount: 4096)
    client.send("go")
    let reader = ReadToEnd(client, chunkByteCount: 3001)
    loop.run { server.taken.first?.isClosed == true }
    #expect(try reader.result() == Array("head".utf8) + content + Array("tail".utf8))
  }

  @Test func oneReaderDoesNotTakeTheWholeTurn() throws {
    let loop = try EventLoop()
    let directory = try TemporaryDirectory()
    let content = pattern(3_000_000)
    let file = try directory.file("content", content)
    let whole = try slice(file, 0..<content.count)
    var sentAfterOneTurn: Int?
    let server = try TestServer(loop) { recorder in
      recorder.onReadable = { recorder, _ in
        recorder.stream.send(whole)
        loop.atEndOfTurn(once: { sentAfterOneTurn = recorder.stream.sentByteCount })
      }
    }
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { $0.stream.send([0]) }
    loop.run { client.received.count == content.count }
    #expect(client.received == content)
    #expect(try #require(sentAfterOneTurn) <= Transport.Stream.sentPerTurnByteCountMax)
  }

  @Test func aFileThatShrankClosesTheStream() throws {
    let loop = try EventLoop()
    let directory = try TemporaryDirectory()
    let file = try directory.file("content", pattern(100_000))
    let beyond = try slice(file, 0..<200_000)
    let server = try Self.serve(loop) { $0.send(beyond) }
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { $0.stream.send([0]) }
    loop.run { server.taken.first?.isClosed == true }
    #expect(server.taken[0].closes == [.fileTooShort])
  }

  @Test func aSmallSliceBeyondTheEndClosesTheStream() throws {
    let loop = try EventLoop()
    let directory = try TemporaryDirectory()
    let file = try directory.file("content", pattern(10))
    let beyond = try slice(file, 5..<20)
    let server = try Self.serve(loop) { $0.send(beyond) }
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { $0.stream.send([0]) }
    loop.run { server.taken.first?.isClosed == true }
    #expect(server.taken[0].closes == [.fileTooShort])
  }
}
