import Content
import Glibc
import Posix
import Reactor
import Synchronization
import Testing

@testable import Transport

/// Files that memory does not have: the system calls that would know say so, and the workers are
/// ours.
@Suite struct ColdFileTests {
  private static let never = 1_000_000

  /// Every look at a file finds nothing: with and without the call that counts pages.
  private static let coldness: [[SystemCalls.Fault]] = [
    [
      .init("fstatfs", .failure(ENOSYS), times: never),
      .init("cachestat", .failure(ENOSYS), times: never),
      .init("preadv2", .failure(EAGAIN), times: never),
    ],
    // The pages are there but still being read.
    [
      .init("fstatfs", .failure(ENOSYS), times: never),
      .init("preadv2", .failure(EAGAIN), times: never),
    ],
    // A file system without any means to tell.
    [
      .init("fstatfs", .failure(ENOSYS), times: never),
      .init("cachestat", .failure(EPERM), times: never),
      .init("preadv2", .failure(EOPNOTSUPP), times: never),
    ],
  ]

  /// Reads that wait until they are let through; what they did meanwhile is counted.
  private final class Gate: Sendable {
    private struct Counts: Sendable {
      var isOpen = false
      var begun: [ByteRange] = []
      var current = 0
      var most = 0
    }

    private let monitor = Monitor()
    private let counts = Mutex(Counts())

    init(isOpen: Bool) { counts.withLock { $0.isOpen = isOpen } }

    var begun: [ByteRange] { counts.withLock { $0.begun } }
    var mostAtOnce: Int { counts.withLock { $0.most } }

    func open() {
      monitor.withLock {
        counts.withLock { $0.isOpen = true }
        monitor.wakeAll()
      }
    }

    /// Waits until so many reads have begun: they do not wake the loop.
    func awaitBegun(_ count: Int) {
      monitor.withLock {
        while begun.count < count { monitor.wait() }
      }
    }

    func pass(_ range: ByteRange) {
      monitor.withLock {
        counts.withLock {
          $0.begun.append(range)
          $0.current += 1
          $0.most = max($0.most, $0.current)
        }
        monitor.wakeAll()
        while !counts.withLock({ $0.isOpen }) { monitor.wait() }
        counts.withLock { $0.current -= 1 }
      }
    }
  }

  private static func loop(with gate: Gate) throws -> EventLoop {
    let loop = try EventLoop()
    loop.fileReads.bringIn = { slice, next throws(SystemError) in
      gate.pass(slice.range)
      try slice.file.bringIn(slice.range, next: next)
    }
    return loop
  }

  /// "f" asks for the file; anything else comes back.
  private static func serve(
    _ loop: EventLoop, _ whole: FileSlice, tls: TLSServer? = nil
  ) throws -> TestServer {
    try TestServer(loop, tls: tls) { recorder in
      recorder.onReadable = { recorder, bytes in
        if bytes == Array("f".utf8) {
          recorder.stream.send(Array("head".utf8))
          recorder.stream.send(whole)
        } else {
          recorder.stream.send(bytes)
        }
      }
      recorder.onEnd = { $0.stream.close() }
    }
  }

  private static func ask(_ loop: EventLoop, _ server: TestServer, _ text: String) -> Recorder {
    let client = Recorder(.connect(loop, to: server.endpoint))
    client.onConnect = { $0.stream.send(Array(text.utf8)) }
    return client
  }

  @Test(arguments: coldness, [false, true])
  func allBytesArriveInOrder(_ faults: [SystemCalls.Fault], _ isTLS: Bool) throws {
    let gate = Gate(isOpen: true)
    let loop = try Self.loop(with: gate)
    let directory = try TemporaryDirectory()
    let content = pattern(3 * OpenFile.stretchByteCount + 1_000)
    let file = try slice(try directory.file("content", content), 100..<content.count)
    let expected = Array("head".utf8) + content[100...]
    try SystemCalls.withFaults(faults) {
      let identity = isTLS ? try TestIdentity(directory, "127.0.0.1").identity : nil
      let server = try Self.serve(loop, file, tls: try identity.map { try TLSServer([$0]) })
      let authorities = try identity.map { try TLSClient(authoritiesPath: $0.certificatePath) }
      let client = Recorder(.connect(loop, to: server.endpoint, tls: authorities))
      client.onConnect = { $0.stream.send(Array("f".utf8)) }
      loop.run { client.received.count == expected.count }
      #expect(client.received == expected)
    }
    #expect(gate.begun.count == 4)
    #expect(gate.begun.first?.offset == 100)
    #expect(gate.begun.allSatisfy { $0.count <= OpenFile.stretchByteCount })
    #expect(loop.fileReads.count == 0)
  }

  @Test func othersAreServedMeanwhile() throws {
    let gate = Gate(isOpen: false)
    let loop = try Self.loop(with: gate)
    let directory = try TemporaryDirectory()
    let content = pattern(700_000)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    try SystemCalls.withFaults(Self.coldness[0]) {
      let server = try Self.serve(loop, file)
      let cold = Self.ask(loop, server, "f")
      loop.run { server.taken.first?.stream.isAwaitingFile == true }
      let other = Self.ask(loop, server, "hello")
      loop.run { other.received == Array("hello".utf8) }
      #expect(cold.received.count <= 4)
      gate.open()
      loop.run { cold.received.count == 4 + content.count }
      #expect(cold.received[4...] == content[...])
    }
  }

  @Test func aThousandReadersDoNotTakeAThousandThreads() throws {
    let gate = Gate(isOpen: true)
    let loop = try Self.loop(with: gate)
    let directory = try TemporaryDirectory()
    let content = pattern(40_000)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    try SystemCalls.withFaults(Self.coldness[0]) {
      let server = try Self.serve(loop, file)
      let clients = (0..<100).map { _ in Self.ask(loop, server, "f") }
      loop.run { clients.allSatisfy { $0.received.count == 4 + content.count } }
      #expect(clients.allSatisfy { $0.received[4...] == content[...] })
    }
    #expect(gate.begun.count == 100)
    #expect(gate.mostAtOnce <= FileReads.threadCount)
  }

  @Test func aSlowReaderHasLittleReadForIt() throws {
    let gate = Gate(isOpen: true)
    let loop = try Self.loop(with: gate)
    let directory = try TemporaryDirectory()
    let content = pattern(12 * OpenFile.stretchByteCount)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    try SystemCalls.withFaults(Self.coldness[0]) {
      let server = try TestServer(loop) { recorder in
        recorder.onReadable = { recorder, _ in
          try? recorder.stream.setKernelBufferByteCounts(send: 16 * 1024)
          recorder.stream.send(file)
          recorder.stream.shutdownAfterDrain()
        }
      }
      let client = try BlockingClient(server.endpoint, receiveByteCount: 4096)
      client.send("f")
      loop.run { gate.begun.count >= 2 && loop.fileReads.count == 0 }
      for _ in 0..<10 { loop.turn(waits: false) }
      let sent = try #require(server.taken.first).stream.sentByteCount
      #expect(gate.begun.count <= sent / OpenFile.stretchByteCount + 3)
      let reader = ReadToEnd(client, chunkByteCount: 64 * 1024)
      loop.run { server.taken.first?.isClosed == true }
      #expect(try reader.result() == content)
    }
  }

  @Test func whoLeavesIsNotReadFor() throws {
    let gate = Gate(isOpen: false)
    let loop = try Self.loop(with: gate)
    let directory = try TemporaryDirectory()
    let content = pattern(40_000)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    try SystemCalls.withFaults(Self.coldness[0]) {
      let server = try Self.serve(loop, file)
      let clients = (0..<20).map { _ in Self.ask(loop, server, "f") }
      loop.run { loop.fileReads.count == 20 }
      gate.awaitBegun(FileReads.threadCount)
      for client in clients { client.stream.close() }
      loop.run { server.taken.allSatisfy(\.isClosed) }
      #expect(loop.fileReads.count == 0)
      gate.open()
      // The workers come past those that nobody waits for before they come to this one.
      let last = Self.ask(loop, server, "f")
      loop.run { last.received.count == 4 + content.count }
      #expect(gate.begun.count == FileReads.threadCount + 1)
    }
  }

  @Test func aLoopMayEndWhileItsReadsAreUnderWay() throws {
    let gate = Gate(isOpen: false)
    let directory = try TemporaryDirectory()
    let content = pattern(40_000)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    weak var loopThatEnded: EventLoop?
    do {
      let loop = try Self.loop(with: gate)
      loopThatEnded = loop
      try SystemCalls.withFaults(Self.coldness[0]) {
        let server = try Self.serve(loop, file)
        let clients = (0..<6).map { _ in Self.ask(loop, server, "f") }
        loop.run { loop.fileReads.count == 6 }
        gate.awaitBegun(FileReads.threadCount)
        // The streams go before the loop, without a word.
        withExtendedLifetime(clients) {}
      }
      gate.open()
    }
    #expect(loopThatEnded == nil)
  }

  @Test func aReadThatFailsClosesTheStream() throws {
    let loop = try EventLoop()
    loop.fileReads.bringIn = { _, _ throws(SystemError) in
      throw SystemError(code: EIO, call: "preadv")
    }
    let directory = try TemporaryDirectory()
    let content = pattern(40_000)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    try SystemCalls.withFaults(Self.coldness[0]) {
      let server = try Self.serve(loop, file)
      let client = Self.ask(loop, server, "f")
      loop.run { client.hasEnded && server.taken.first?.isClosed == true }
      #expect(server.taken[0].closes == [.failed(SystemError(code: EIO, call: "preadv"))])
    }
  }

  @Test func withoutDescriptorsTheLoopReadsItself() throws {
    let loop = try EventLoop()
    let directory = try TemporaryDirectory()
    let content = pattern(2 * OpenFile.stretchByteCount)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    let server = try Self.serve(loop, file)
    let client = Self.ask(loop, server, "f")
    let faults = [SystemCalls.Fault("eventfd", .failure(EMFILE), times: Self.never)]
    SystemCalls.withFaults(Self.coldness[0] + faults) {
      loop.run { client.received.count == 4 + content.count }
    }
    #expect(client.received[4...] == content[...])
  }

  @Test func whatIsInMemoryNeedsNoWorker() throws {
    let gate = Gate(isOpen: true)
    let loop = try Self.loop(with: gate)
    let directory = try TemporaryDirectory()
    let content = pattern(OpenFile.stretchByteCount)
    let file = try slice(try directory.file("content", content), 0..<content.count)
    // Some file systems cannot tell.
    guard file.file.isResident(file.range, now: loop.now) else { return }
    let server = try Self.serve(loop, file)
    let client = Self.ask(loop, server, "f")
    loop.run { client.received.count == 4 + content.count }
    #expect(gate.begun.isEmpty)
  }
}
