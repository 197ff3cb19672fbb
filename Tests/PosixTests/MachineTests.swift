import Content
import Glibc
import Posix
import Synchronization
import Testing

@Suite struct MachineTests {
  @Test func theMachineAndTheProcess() throws {
    #expect(Machine.coreCount >= 1)
    #expect(try Machine.bootID().count == 36)
    #expect(try Process.residentByteCount() > 1_000_000)
    #expect(Process.environmentVariable("PATH")?.isEmpty == false)
    #expect(Process.environmentVariable("A_NAME_THAT_NOBODY_SETS") == nil)
    #expect(try Process.setOpenFileLimit() > 0)
    try Process.prepare()
  }

  @Test func theMonotonicClockDoesNotGoBack() {
    let first = Clock.now()
    let second = Clock.now()
    #expect(second >= first)
    #expect(abs(Clock.wallSeconds() - Int(time(nil))) <= 1)
  }

  @Test func threadsRunAndJoin() throws {
    final class Counter: Sendable {
      let count = Mutex(0)
    }
    let counter = Counter()
    let first = try Thread(name: "a name longer than allowed") {
      counter.count.withLock { $0 += 1 }
    }
    let second = try Thread(name: "b") { counter.count.withLock { $0 += 1 } }
    first.join()
    second.join()
    #expect(counter.count.withLock { $0 } == 2)
  }

  @Test func literalAddressesResolveToThemselves() throws {
    let v4 = try Resolver.resolve(host: "127.0.0.1", port: 80)
    #expect(v4 == [Endpoint(address: .loopback, port: 80)])
    let v6 = try Resolver.resolve(host: "::1", port: 81)
    #expect(v6 == [Endpoint(address: .v6(0, 1), port: 81)])
    let local = try Resolver.resolve(host: "localhost", port: 82)
    #expect(local.contains { $0.address == .loopback || $0.address == .v6(0, 1) })
    #expect(local.allSatisfy { $0.port == 82 })
    #expect(throws: Resolver.Failure.self) { try Resolver.resolve(host: "a\0b", port: 1) }
    #expect(throws: Resolver.Failure.self) {
      try Resolver.resolve(host: "no such name.invalid", port: 1)
    }
  }

  @Test func aDescriptorClosesOnce() throws {
    var spare = try FileDescriptor.spare()
    let raw = spare.rawValue
    #expect(fcntl(raw, F_GETFD) >= 0)
    spare.close()
    spare.close()
    let isOpen = spare.isOpen
    #expect(!isOpen)
  }

  @Test func faultsSkipThenStrikeThenStop() throws {
    let outcomes = SystemCalls.withFaults([.init("stat", .failure(EIO), skipping: 1, times: 2)]) {
      (0..<4).map { _ in
        do {
          _ = try FileSystem.status(of: "/")
          return "ok"
        } catch {
          return "\(error)"
        }
      }
    }
    #expect(outcomes == ["ok", "stat: Input/output error", "stat: Input/output error", "ok"])
  }
}
