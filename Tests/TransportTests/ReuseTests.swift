import Content
import Posix
import Reactor
import Testing

@testable import Transport

/// What streams borrow from their loop, one after the other: nothing of one is ever seen by the next.
@Suite struct ReuseTests {
  @Test func whatAStreamCouldNotSendIsNotTheNextOnes() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop) { recorder in
      recorder.onReadable = { recorder, asked in
        recorder.stream.send(asked)
        // More than a kernel takes, behind a head, as an array and as copies.
        guard asked == [1] else { return }
        recorder.stream.send(pattern(6_000_000))
        pattern(40_000).withUnsafeBytes { recorder.stream.send($0) }
      }
    }
    var seen: Set<ObjectIdentifier> = []
    for round in 0..<20 {
      let greedy = try BlockingClient(server.endpoint, receiveByteCount: 4_096)
      greedy.send([1])
      loop.run { server.taken.last?.stream.isBlocked == true }
      let blocked = server.taken[2 * round]
      #expect(blocked.stream.queuedByteCount > 0)
      let output = try #require(blocked.stream.output)
      seen.insert(ObjectIdentifier(output))
      blocked.stream.close()
      loop.run { blocked.isClosed }
      #expect(blocked.stream.output == nil && output.queue.isEmpty && output.queue.byteCount == 0)

      let modest = Recorder(.connect(loop, to: server.endpoint))
      modest.onConnect = { $0.stream.send([2, UInt8(round)]) }
      modest.onReadable = { recorder, _ in
        if recorder.received.count >= 2 { recorder.stream.shutdownAfterDrain() }
      }
      loop.run { server.taken.count == 2 * round + 2 && server.taken.last?.hasEnded == true }
      server.taken.last?.stream.close()
      loop.run { modest.isClosed && server.taken.last?.isClosed == true }
      #expect(modest.received == [2, UInt8(round)])
    }
    #expect(seen.count < 20)
  }

  @Test func aThousandStreamsThatAskTogetherShareOneBuffer() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop) { recorder in
      recorder.onReadable = { recorder, asked in
        recorder.stream.send(asked)
        // The one before has given its own back.
        #expect(recorder.stream.output != nil)
      }
    }
    var clients: [BlockingClient] = []
    for _ in 0..<100 { clients.append(try BlockingClient(server.endpoint)) }
    loop.run { server.taken.count == clients.count }
    for client in clients { client.send([7]) }
    var busiest = 0
    loop.run {
      busiest = max(busiest, server.taken.count { $0.stream.output != nil })
      return server.taken.allSatisfy { $0.received.count == 1 }
    }
    #expect(busiest == 0)
    for client in clients { #expect(client.receive(1) == [7]) }
  }

  @Test func anIdleStreamHoldsNothing() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop, TestServer.echo)
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { $0.stream.send([3]) }
    loop.run { client.received == [3] }
    #expect(client.stream.output == nil)
    #expect(server.taken[0].stream.output == nil)
    #expect(server.taken[0].stream.queuedByteCount == 0)
  }

  @Test func connectionsComeOneByOneOrInCrowds() {
    var crowd = Crowd()
    /// What a wake does that finds so many: how many it takes, and whether it looked for more.
    func wake(finding count: Int) -> (taken: Int, looked: Bool) {
      for taken in 1...count where crowd.isAlone(after: taken) { return (taken, false) }
      crowd.ended(count)
      return (count, true)
    }
    // Nothing is known yet.
    #expect(wake(finding: 1) == (1, true))
    let looks = (0..<34).count { _ in wake(finding: 1).looked }
    #expect(looks == 2)
    // One alone is taken of a crowd until the next look, which finds them all.
    var wakes = 0
    while !wake(finding: 5).looked { wakes += 1 }
    #expect(wakes <= 16)
    #expect(wake(finding: 5) == (5, true))
    #expect(wake(finding: 1) == (1, true))
    #expect(wake(finding: 1) == (1, false))
  }
}
