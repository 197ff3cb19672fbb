import Content
import Foundation
import Glibc
import Posix
import Reactor
import Testing

@testable import Transport

/// A certificate of its own for each name, made by the `openssl` command.
struct TestIdentity {
  let identity: TLSServer.Identity

  init(_ directory: TemporaryDirectory, _ name: String, in file: String? = nil) throws {
    let base = directory.path + "/" + (file ?? name)
    identity = TLSServer.Identity(certificatePath: base + ".pem", keyPath: base + ".key")
    let alternative = IPAddress(name) == nil ? "DNS:\(name)" : "IP:\(name)"
    let result = try Command.run([
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
      "-nodes", "-days", "2", "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(alternative)",
      "-keyout", identity.keyPath, "-out", identity.certificatePath,
    ])
    try #require(result.status == 0, "\(result.output)")
  }
}

enum Command {
  static func run(
    _ arguments: [String], input: String = ""
  ) throws -> (status: Int32, output: String) {
    let process = Foundation.Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    let inputPipe = Pipe()
    process.standardOutput = output
    process.standardError = output
    process.standardInput = inputPipe
    try process.run()
    inputPipe.fileHandleForWriting.write(Data(input.utf8))
    try inputPipe.fileHandleForWriting.close()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
  }
}

@Suite struct TLSTests {
  let directory: TemporaryDirectory
  let local: TestIdentity
  let loop: EventLoop

  init() throws {
    try Posix.Process.prepare()
    directory = try TemporaryDirectory()
    local = try TestIdentity(directory, "127.0.0.1")
    loop = try EventLoop()
  }

  private func client(trusting identity: TestIdentity? = nil) throws -> TLSClient {
    try TLSClient(authoritiesPath: (identity ?? local).identity.certificatePath)
  }

  @Test func echoesWhateverTheSplit() throws {
    for readByteCount in [1, 5, 64 * 1024] {
      let server = try TestServer(loop, tls: TLSServer([local.identity])) { recorder in
        recorder.readByteCountMax = readByteCount
        TestServer.echo(recorder)
      }
      let client = Recorder(.connect(loop, to: server.endpoint, tls: try client()))
      let bytes = pattern(readByteCount == 1 ? 300 : 200_000)
      client.onConnect = { recorder in
        recorder.stream.send(Array(bytes[..<100]))
        recorder.stream.flush()
        recorder.stream.send(Array(bytes[100...]))
      }
      client.onReadable = { recorder, _ in
        if recorder.received.count == bytes.count { recorder.stream.shutdownAfterDrain() }
      }
      loop.run { client.isClosed && server.taken.first?.isClosed == true }
      #expect(client.received == bytes)
      #expect(client.closes == [.local])
      #expect(server.taken[0].hasEnded)
      #expect(server.taken[0].closes == [.local])
      #expect(client.stream.isTLS)
    }
  }

  @Test func slicesAndBytesKeepTheirOrderToASlowReader() throws {
    let content = pattern(1_500_000)
    let file = try directory.file("content", content)
    let slices = try [0..<10, 7..<9_000, 3..<70_000, 0..<content.count].map { try slice(file, $0) }
    let server = try TestServer(loop, tls: TLSServer([local.identity])) { recorder in
      // A record that does not fit waits inside OpenSSL and is offered again.
      do {
        try recorder.stream.setKernelBufferByteCounts(send: 32 * 1024)
      } catch {
        Issue.record(error)
      }
      recorder.onReadable = { recorder, _ in
        for slice in slices {
          recorder.stream.send(Array("head".utf8))
          recorder.stream.send(slice)
        }
        recorder.stream.send(pattern(40_000))
        recorder.stream.shutdownAfterDrain()
      }
    }
    let client = Recorder(.connect(loop, to: server.endpoint, tls: try client()))
    client.readByteCountMax = 3001
    client.onConnect = { recorder in
      recorder.stream.send([1])
    }
    client.onEnd = { $0.stream.close() }
    loop.run { client.isClosed }
    var expected: [UInt8] = []
    for slice in slices {
      expected += Array("head".utf8) + content[slice.range.offset..<slice.range.end]
    }
    expected += pattern(40_000)
    #expect(client.received == expected)
    #expect(server.taken[0].stream.sentByteCount == expected.count)
  }

  static let harmless: [[SystemCalls.Fault]] = [
    [.init("send", .limit(1), times: 400)],
    [.init("send", .limit(1000), times: 40), .init("send", .failure(EAGAIN), times: 5)],
    [.init("send", .failure(EINTR), times: 5), .init("preadv2", .failure(EAGAIN), times: 50)],
    [.init("send", .failure(EAGAIN), times: 20), .init("pread", .limit(100), times: 20)],
  ]

  @Test(arguments: harmless) func everythingArrives(_ faults: [SystemCalls.Fault]) throws {
    let content = pattern(300_000)
    let file = try directory.file("content", content)
    let whole = try slice(file, 0..<content.count)
    let client = try client()
    let recorder = try SystemCalls.withFaults(faults) {
      let server = try TestServer(loop, tls: TLSServer([local.identity])) { recorder in
        recorder.onReadable = { recorder, _ in
          recorder.stream.send(Array("head".utf8))
          recorder.stream.send(whole)
          recorder.stream.shutdownAfterDrain()
        }
      }
      let recorder = Recorder(.connect(loop, to: server.endpoint, tls: client))
      recorder.onConnect = { $0.stream.send([1]) }
      recorder.onEnd = { $0.stream.close() }
      loop.run { recorder.isClosed && server.taken.first?.isClosed == true }
      return recorder
    }
    #expect(recorder.received == Array("head".utf8) + content)
    #expect(recorder.hasEnded)
  }

  @Test(arguments: [0, 1, 2, 3]) func aResetAtAnySendEndsIt(_ skipping: Int) throws {
    let client = try client()
    let (recorder, taken) = try SystemCalls.withFaults([
      .init("send", .failure(ECONNRESET), skipping: skipping, times: 1000)
    ]) {
      let server = try TestServer(loop, tls: TLSServer([local.identity]), TestServer.echo)
      let recorder = Recorder(.connect(loop, to: server.endpoint, tls: client))
      recorder.onConnect = { $0.stream.send(pattern(100_000)) }
      recorder.onEnd = { $0.stream.close() }
      loop.run { recorder.isClosed && server.taken.first?.isClosed == true }
      return (recorder, server.taken)
    }
    #expect(recorder.received.count < 100_000)
    #expect(recorder.closes == [.remoteClosed])
    #expect(taken.count == 1 && taken[0].closes == [.remoteClosed])
  }

  @Test func strangersAreNotBelieved() throws {
    let server = try TestServer(loop, tls: TLSServer([local.identity]))
    let other = try TestIdentity(directory, "other.example")
    let stranger = Recorder(
      .connect(loop, to: server.endpoint, tls: try client(trusting: other)))
    let misnamed = Recorder(
      .connect(loop, to: server.endpoint, tls: try client(), serverName: "other.example"))
    stranger.stream.send([1])
    loop.run { stranger.isClosed && misnamed.isClosed }
    for recorder in [stranger, misnamed] {
      #expect(recorder.connectCount == 0)
      guard case .tls(let text) = recorder.closes.first else {
        Issue.record("\(recorder.closes)")
        return
      }
      #expect(text.contains("certificate verify failed"))
    }
    loop.run { server.taken.count == 2 && server.taken.allSatisfy(\.isClosed) }
    #expect(server.taken.allSatisfy { $0.received.isEmpty })
  }

  @Test func theCertificateFollowsTheName() throws {
    let first = try TestIdentity(directory, "first.example")
    let second = try TestIdentity(directory, "second.example")
    let server = try TestServer(loop, tls: TLSServer([first.identity, second.identity]))
    for (identity, name) in [(first, "first.example"), (second, "second.example")] {
      let client = Recorder(
        .connect(
          loop, to: server.endpoint, tls: try client(trusting: identity), serverName: name))
      client.onConnect = { $0.stream.close() }
      loop.run { client.isClosed }
      #expect(client.connectCount == 1, "\(name): \(client.closes)")
    }
  }

  @Test func aReloadIsForNewConnectionsAndAFailedOneForNone() throws {
    let tls = try TLSServer([local.identity])
    let server = try TestServer(loop, tls: tls, TestServer.echo)
    let oldClient = try client()
    let old = Recorder(.connect(loop, to: server.endpoint, tls: oldClient))
    loop.run { old.connectCount == 1 }
    _ = try TestIdentity(directory, "127.0.0.1")
    try tls.reload()
    let fresh = Recorder(.connect(loop, to: server.endpoint, tls: try client()))
    let outdated = Recorder(.connect(loop, to: server.endpoint, tls: oldClient))
    loop.run { fresh.connectCount == 1 && outdated.isClosed }
    #expect(outdated.connectCount == 0)
    old.stream.send([1, 2, 3])
    loop.run { old.received == [1, 2, 3] }

    try FileSystem.remove(local.identity.keyPath)
    let error = #expect(throws: TLSError.self) { try tls.reload() }
    #expect(error?.description.contains(local.identity.keyPath) == true)
    let later = Recorder(.connect(loop, to: server.endpoint, tls: nil))
    later.stream.close()
    #expect(throws: TLSError.self) { try TLSServer([local.identity]) }
    #expect(throws: TLSError.self) { try TLSServer([]) }
    #expect(throws: TLSError.self) { try TLSClient(authoritiesPath: directory.path + "/none") }
  }

  @Test func whatIsNotTLSIsRefused() throws {
    let server = try TestServer(loop, tls: TLSServer([local.identity]))
    let client = try BlockingClient(server.endpoint)
    let silent = try BlockingClient(server.endpoint)
    client.send("GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    loop.run { server.taken.count == 2 && server.taken.contains(where: \.isClosed) }
    guard let refused = server.taken.first(where: \.isClosed), case .tls = refused.closes.first
    else {
      Issue.record("not refused as TLS")
      return
    }
    let waiting = try #require(server.taken.first { !$0.isClosed })
    #expect(waiting.stream.isHandshaking)
    waiting.stream.close()
    silent.close()
    loop.run { server.taken.allSatisfy(\.isClosed) }
  }

  @Test func anEndWithoutAWordIsNoEnd() throws {
    let server = try TestServer(loop, tls: TLSServer([local.identity]))
    let client = Recorder(.connect(loop, to: server.endpoint, tls: try client()))
    loop.run { client.connectCount == 1 && server.taken.first?.stream.isHandshaking == false }
    // Closed without close_notify, which is what a truncation looks like.
    client.stream.close()
    loop.run { server.taken[0].isClosed }
    #expect(server.taken[0].closes == [.remoteClosed])
    #expect(!server.taken[0].hasEnded)
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
    let first = try runWhileTurning(base + ["-sess_out", ticketPath])
    #expect(first.contains("welcome"))
    #expect(first.contains("ALPN protocol: http/1.1"))
    #expect(first.contains("New, TLSv1"))
    try tls.reload()
    let second = try runWhileTurning(base + ["-sess_in", ticketPath])
    #expect(second.contains("Reused, TLSv1"))
    #expect(second.contains("welcome"))
  }

  @Test(arguments: [["-tls1_1"], ["-alpn", "h2"], ["-tls1_2", "-cipher", "AES128-SHA"]])
  func oldOrForeignIsRefused(_ arguments: [String]) throws {
    let server = try TestServer(loop, tls: TLSServer([local.identity]))
    let output = try runWhileTurning(
      ["openssl", "s_client", "-connect", server.endpoint.description] + arguments)
    #expect(output.contains("error") || output.contains("alert"))
    #expect(server.taken.allSatisfy { $0.received.isEmpty })
  }

  /// Runs a command on a thread and the loop here until it is done.
  private func runWhileTurning(_ arguments: [String]) throws -> String {
    var result: String?
    let mailbox = try Mailbox<String>(loop) { result = $0 }
    let thread = try Posix.Thread(name: "command") {
      do {
        mailbox.post(try Command.run(arguments, input: "hello\n").output)
      } catch {
        mailbox.post("\(error)")
      }
    }
    loop.run { result != nil }
    thread.join()
    return try #require(result)
  }
}

@Suite struct PeerIdentityTests {
  let loop: EventLoop

  init() throws {
    try Posix.Process.prepare()
    loop = try EventLoop()
  }

  private func meet(expecting fingerprint: (PeerIdentity) -> TLSFingerprint) throws -> Recorder {
    let identity = try PeerIdentity()
    let server = try TestServer(loop, tls: TLSServer(identity)) { TestServer.echo($0) }
    let client = Recorder(
      .connect(
        loop, to: server.endpoint, tls: try .forPeers(), expecting: fingerprint(identity)))
    client.onConnect = { $0.stream.send([1, 2, 3]) }
    client.onReadable = { recorder, _ in
      if recorder.received.count == 3 { recorder.stream.close() }
    }
    loop.run { client.isClosed }
    return client
  }

  @Test func thePeerThatWasNamedIsBelieved() throws {
    let client = try meet { $0.fingerprint }
    #expect(client.received == [1, 2, 3])
  }

  @Test func anotherPeerIsNot() throws {
    let other = try PeerIdentity()
    for wrong in [other.fingerprint, TLSFingerprint(high: 0, low: 0)] {
      let client = try meet { _ in wrong }
      #expect(client.received.isEmpty)
      #expect("\(client.closes)".contains("not the one the tracker named"))
    }
    let client = try meet { TLSFingerprint(high: $0.fingerprint.high, low: 1) }
    #expect(client.received.isEmpty)
  }

  @Test func identitiesDiffer() throws {
    #expect(try PeerIdentity().fingerprint != PeerIdentity().fingerprint)
  }
}
