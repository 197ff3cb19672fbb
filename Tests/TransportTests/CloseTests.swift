import Content
import Posix
import Reactor
import Testing

@testable import Transport

/// Every way to end, from every place.
@Suite struct CloseTests {
  enum Place: CaseIterable, Sendable {
    case connected
    case readable
    case drained
    case ended
    case accepted
  }

  @Test(arguments: Place.allCases) func closeInsideACallback(_ place: Place) throws {
    let loop = try EventLoop()
    let close: (Recorder) -> Void = { recorder in
      recorder.stream.close()
      // Never from inside a call.
      #expect(!recorder.isClosed)
      recorder.stream.close()
      recorder.stream.send([1])
      #expect(recorder.stream.queuedByteCount == 0)
    }
    let server = try TestServer(loop) { recorder in
      switch place {
      case .readable: recorder.onReadable = { recorder, _ in close(recorder) }
      case .drained:
        recorder.onDrain = close
        recorder.stream.send([9])
      case .ended: recorder.onEnd = close
      case .accepted: close(recorder)
      case .connected: break
      }
    }
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { recorder in
      switch place {
      case .connected: close(recorder)
      case .readable, .drained, .accepted: recorder.stream.send([1, 2])
      case .ended: recorder.stream.shutdownAfterDrain()
      }
    }
    client.onEnd = { $0.stream.close() }
    let subject = { place == .connected ? client : server.taken.first }
    loop.run { subject()?.isClosed == true }
    for _ in 0..<5 { loop.turn(waits: false) }
    #expect(subject()?.closes == [.local])
  }

  @Test func closeInsideCloseChangesNothing() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop)
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onClose = { $0.stream.close() }
    client.onConnect = { $0.stream.close() }
    loop.run { client.isClosed }
    for _ in 0..<5 { loop.turn(waits: false) }
    #expect(client.closes == [.local])
  }

  @Test func aStreamDiesWithTheTurnNotWithItsCallback() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop, TestServer.echo)
    weak var observed: Transport.Stream?
    var holder: Recorder? = Recorder(.connect(loop, to: server.endpoint))
    observed = holder?.stream
    var wasClosed = false
    holder?.onConnect = { $0.stream.send([7]) }
    holder?.onReadable = { recorder, _ in
      recorder.stream.close()
      holder = nil
    }
    holder?.onClose = { _ in wasClosed = true }
    loop.run { holder == nil }
    for _ in 0..<3 { loop.turn(waits: false) }
    #expect(observed == nil)
    // Nobody was left to be told.
    #expect(!wasClosed)
  }

  @Test func aStreamWithoutItsHandlerCloses() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop)
    var handler: Recorder? = Recorder(.connect(loop, to: server.endpoint))
    let stream = handler!.stream
    loop.run { handler!.connectCount == 1 && server.taken.count == 1 }
    handler = nil
    server.taken[0].stream.send([1])
    loop.run { !stream.isOpen }
    loop.run { server.taken[0].isClosed || server.taken[0].hasEnded }
  }

  @Test func aStreamLetGoClosesItsDescriptor() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop)
    var handler: Recorder? = Recorder(.connect(loop, to: server.endpoint))
    loop.run { handler!.connectCount == 1 && server.taken.count == 1 }
    handler = nil
    loop.run { server.taken[0].hasEnded }
    #expect(server.taken[0].hasEnded)
  }

  @Test func lingeringEndsByItself() throws {
    let loop = try EventLoop()
    let server = try TestServer(loop) { recorder in
      recorder.stream.lingerDurationMax = .milliseconds(5)
      recorder.stream.send([1])
      recorder.stream.shutdownAfterDrain()
    }
    // This side never ends: the deadline does.
    let client = try BlockingClient(server.endpoint)
    loop.run { server.taken.first?.isClosed == true }
    #expect(client.receive(10) == [1])
    #expect(client.receive(10) == [])
    #expect(server.taken[0].closes == [.local])
  }
}
