package import Posix
import Synchronization

/// Values from any thread to one loop, in the order of posting, many at a time. The loop is woken
/// only when the box was empty. When the last reference to a box goes, so does its receiver, after
/// the values that are still in it.
package final class Mailbox<Message: Sendable>: Sendable {
  private let slot: MailSlot<Message>

  /// On the loop's thread.
  /// - Parameter receiver: called on the loop, once per message.
  package init(_ loop: EventLoop, receiver: @escaping (Message) -> Void) throws(SystemError) {
    slot = try MailSlot()
    loop.attach(try MailReceiver(loop, slot, receiver))
  }

  deinit { slot.close() }

  package func post(_ message: Message) { slot.post(message) }
}

/// What the two ends share.
private final class MailSlot<Message: Sendable>: Sendable {
  struct Content {
    var messages: [Message] = []
    var isClosed = false
  }

  private let content = Mutex(Content())
  let event: EventDescriptor

  init() throws(SystemError) { event = try EventDescriptor() }

  func post(_ message: Message) {
    let wasEmpty = content.withLock { content in
      content.messages.append(message)
      return content.messages.count == 1
    }
    if wasEmpty { event.signal() }
  }

  func close() {
    content.withLock { $0.isClosed = true }
    event.signal()
  }

  func takeAll() -> Content {
    content.withLock { content in
      let taken = content
      content.messages = []
      return taken
    }
  }
}

private final class MailReceiver<Message: Sendable>: WatchHandler {
  private unowned let loop: EventLoop
  private let slot: MailSlot<Message>
  private let receiver: (Message) -> Void
  private var watch: Watch?

  init(
    _ loop: EventLoop, _ slot: MailSlot<Message>, _ receiver: @escaping (Message) -> Void
  ) throws(SystemError) {
    self.loop = loop
    self.slot = slot
    self.receiver = receiver
    watch = Watch(loop, slot.event.rawDescriptor, .read, handler: self)
    try watch?.turnOnOrThrow()
  }

  func watchIsReady(_ direction: Watch.Direction) {
    // First the counter, then the messages: one posted in between wakes the loop again.
    slot.event.clear()
    let content = slot.takeAll()
    for message in content.messages { receiver(message) }
    if content.isClosed {
      watch?.turnOff()
      loop.detach(self)
    }
  }
}
