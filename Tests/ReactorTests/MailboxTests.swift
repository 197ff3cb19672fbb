import Posix
import Reactor
import Synchronization
import Testing

@Suite struct MailboxTests {
  @Test func keepsEachSendersOrder() throws {
    let loop = try EventLoop()
    var received: [[Int]] = [[], [], []]
    let mailbox = try Mailbox<(sender: Int, number: Int)>(loop) { message in
      received[message.sender].append(message.number)
      if received.allSatisfy({ $0.count == 1000 }) { loop.stop() }
    }
    let pool = try WorkerPool(name: "sender", threadCount: 3)
    for sender in 0..<3 {
      pool.submit { for number in 0..<1000 { mailbox.post((sender, number)) } }
    }
    loop.run()
    pool.stop()
    #expect(received == Array(repeating: Array(0..<1000), count: 3))
  }

  @Test func aMessagePostedByTheReceiverIsNotLost() throws {
    let loop = try EventLoop()
    var received: [Int] = []
    var mailbox: Mailbox<Int>?
    mailbox = try Mailbox<Int>(loop) { number in
      received.append(number)
      if number < 5 { mailbox?.post(number + 1) } else { loop.stop() }
    }
    mailbox?.post(1)
    loop.run()
    #expect(received == [1, 2, 3, 4, 5])
    mailbox = nil
  }

  @Test func aDroppedBoxDeliversThenFreesItsReceiver() throws {
    final class Witness {}
    let loop = try EventLoop()
    weak var observed: Witness?
    var received: [Int] = []
    do {
      let witness = Witness()
      observed = witness
      let mailbox = try Mailbox<Int>(loop) { number in
        withExtendedLifetime(witness) { received.append(number) }
      }
      mailbox.post(1)
      mailbox.post(2)
    }
    loop.turn(waits: true)
    #expect(received == [1, 2])
    #expect(observed == nil)
  }

  @Test func aPoolDoesAllThatWasSubmittedBeforeItStops() throws {
    let pool = try WorkerPool(name: "worker", threadCount: 2)
    final class Shared: Sendable {
      let numbers = Mutex<Set<Int>>([])
    }
    let shared = Shared()
    for number in 0..<3000 { pool.submit { shared.numbers.withLock { _ = $0.insert(number) } } }
    pool.stop()
    pool.stop()
    #expect(shared.numbers.withLock { $0.count } == 3000)
    #expect(!pool.submit {})
    #expect(pool.waitingCount == 0)
  }
}
