import Content
import Foundation
import Posix
import Reactor
import Synchronization
import Testing

@testable import Transport

/// Going on from an earlier session: the client's side, the server's, and the keys of the tickets.
@Suite struct ResumptionTests {
  let directory: TemporaryDirectory
  let local: TestIdentity
  let loop: EventLoop

  init() throws {
    try Posix.Process.prepare()
    directory = try TemporaryDirectory()
    local = try TestIdentity(directory, "127.0.0.1")
    loop = try EventLoop()
  }

  private func client(offersVersion13: Bool = true) throws -> TLSClient {
    try TLSClient(
      authoritiesPath: local.identity.certificatePath, offersVersion13: offersVersion13)
  }

  /// A server that says something at once, behind which its ticket has come.
  private func server(_ tls: TLSServer) throws -> TestServer {
    try TestServer(loop, tls: tls) { recorder in
      recorder.onReadable = { recorder, bytes in recorder.stream.send(bytes) }
    }
  }

  /// Connects, hears an echo, closes.
  /// - Returns: whether both sides say that they went on from an earlier session.
  private func isResumed(_ client: TLSClient, _ server: TestServer) throws -> Bool {
    let recorder = Recorder(.connect(loop, to: server.endpoint, tls: client))
    recorder.onConnect = { $0.stream.send([7]) }
    loop.run { !recorder.received.isEmpty || recorder.isClosed }
    let taken = try #require(server.taken.last)
    let sides = [recorder.stream.isResumed, taken.stream.isResumed]
    #expect(recorder.received == [7])
    #expect(sides[0] == sides[1])
    recorder.stream.close()
    loop.run { recorder.isClosed && taken.isClosed }
    return sides[0]
  }

  @Test(arguments: [true, false]) func theNextConnectionGoesOn(_ offersVersion13: Bool) throws {
    let server = try server(TLSServer([local.identity]))
    let client = try client(offersVersion13: offersVersion13)
    #expect(try !isResumed(client, server))
    for _ in 0..<3 { #expect(try isResumed(client, server)) }
    // Another client knows nothing of it.
    #expect(try !isResumed(self.client(offersVersion13: offersVersion13), server))
  }

  @Test(arguments: [true, false]) func aTicketOfVersion13IsUsedOnce(_ is13: Bool) throws {
    let server = try server(TLSServer([local.identity]))
    let client = try client(offersVersion13: is13)
    #expect(try !isResumed(client, server))
    // Both greet before either is answered: the one ticket there is goes with the first.
    let pair = (0..<2).map { _ in Recorder(.connect(loop, to: server.endpoint, tls: client)) }
    loop.run { pair.allSatisfy { $0.connectCount == 1 } }
    #expect(pair.map(\.stream.isResumed) == [true, !is13])
    for recorder in pair { recorder.stream.close() }
    loop.run { pair.allSatisfy(\.isClosed) }
  }

  @Test func aSessionIsForTheNameThatWasChecked() throws {
    let server = try server(TLSServer([local.identity]))
    let client = try client()
    #expect(try !isResumed(client, server))
    let other = Recorder(
      .connect(loop, to: server.endpoint, tls: client, serverName: "other.example"))
    loop.run { other.isClosed }
    #expect(other.connectCount == 0)
    #expect(try isResumed(client, server))
  }

  @Test func ticketsOpenUnderThePreviousKeyAndNotUnderOlderOnes() throws {
    let now = TestClock()
    let tls = try TLSServer([local.identity], TicketKeys(clock: { now.value }))
    let server = try server(tls)
    let half = Duration.seconds(1_800)
    let (first, second, third) = (try client(), try client(), try client())
    for client in [first, second, third] { #expect(try !isResumed(client, server)) }
    now.advance(by: half)
    #expect(try isResumed(first, server))
    // Under the key before: it opens, and the ticket that follows has the new one.
    now.advance(by: half)
    #expect(try isResumed(second, server))
    now.advance(by: half * 2)
    #expect(try isResumed(second, server))
    #expect(try !isResumed(third, server))
  }

  @Test func theShelfIsBounded() {
    typealias Shelf = SessionShelf<Int, Int>
    var shelf = Shelf()
    for session in 0..<Shelf.sessionCountMaxPerServer + 3 { shelf.add(session, for: 1) }
    var taken: [Int] = []
    while let session = shelf.take(for: 1, isForOneUse: { _ in true }) { taken.append(session) }
    #expect(taken == (3..<Shelf.sessionCountMaxPerServer + 3).reversed())
    #expect(shelf.serverCount == 0)

    for server in 0..<Shelf.serverCountMax { shelf.add(server, for: server) }
    // Used again, so it is not the one that goes.
    shelf.add(0, for: 0)
    shelf.add(-1, for: -1)
    #expect(shelf.serverCount == Shelf.serverCountMax)
    #expect(shelf.take(for: 1, isForOneUse: { _ in false }) == nil)
    #expect(shelf.take(for: 0, isForOneUse: { _ in false }) == 0)
    #expect(shelf.take(for: 0, isForOneUse: { _ in false }) == 0)
    shelf.removeAll(for: 0)
    #expect(shelf.take(for: 0, isForOneUse: { _ in false }) == nil)
    #expect(shelf.serverCount == Shelf.serverCountMax - 1)
  }

  @Test func ticketKeysRotateAndOldOnesOpenForAWhile() {
    var generator = SystemRandomNumberGenerator()
    var ring = TicketKeyRing()
    let start = Instant.zero
    let hour = TicketKeyRing.sealingDuration
    let first = ring.sealingKey(at: start, using: &generator)
    #expect(ring.sealingKey(at: start + .seconds(3599), using: &generator) == first)
    #expect(ring.opening(first.name, at: start + .seconds(3599)) == .current(first))
    #expect(ring.opening(first.name, at: start + hour) == .previous(first))
    let second = ring.sealingKey(at: start + hour, using: &generator)
    #expect(second != first)
    #expect(ring.opening(first.name, at: start + hour) == .previous(first))
    #expect(ring.opening(second.name, at: start + hour) == .current(second))
    #expect(ring.opening(first.name, at: start + hour * 2) == .none)
    #expect(ring.opening([1, 2, 3], at: start) == .none)
    // A ring that slept for long does not open with what it had.
    let third = ring.sealingKey(at: start + hour * 9, using: &generator)
    #expect(ring.opening(second.name, at: start + hour * 9) == .none)
    #expect(ring.opening(third.name, at: start + hour * 9) == .current(third))
  }

  @Test(arguments: ["-tls1_2", "-tls1_3"]) func aTicketIsGoodOnAnotherContextOfTheServer(
    _ version: String
  ) throws {
    let tls = try TLSServer([local.identity])
    let server = try TestServer(loop, tls: tls) { recorder in
      recorder.onReadable = { recorder, _ in
        recorder.stream.send(Array("welcome".utf8))
        recorder.stream.shutdownAfterDrain()
      }
    }
    let ticketPath = directory.path + "/ticket"
    let base = [
      "openssl", "s_client", "-connect", server.endpoint.description, version, "-ign_eof",
      "-alpn", "h2,http/1.1",
    ]
    let first = try Command.run(base + ["-sess_out", ticketPath], turning: loop)
    #expect(first.contains("welcome"))
    #expect(first.contains("ALPN protocol: http/1.1"))
    #expect(first.contains("New, TLSv1"))
    try tls.reload()
    let second = try Command.run(base + ["-sess_in", ticketPath], turning: loop)
    #expect(second.contains("Reused, TLSv1"))
    #expect(second.contains("welcome"))
  }
}

/// A clock that a test moves.
final class TestClock: Sendable {
  private let instant = Mutex(Instant.zero)
  var value: Instant { instant.withLock { $0 } }
  func advance(by duration: Duration) { instant.withLock { $0 = $0 + duration } }
}
