import CLibevent
import Posix

/// An event of libevent and who is told of it.
struct WatchSlot {
  var event: CLibevent.event
  // The handler owns the watch, or outlives it.
  unowned(unsafe) let handler: any WatchHandler
}

/// Owns libevent's base and the room for its events; freed after the last watch that was made on it.
final class EventBase {
  /// Slots lie side by side in blocks of a page, of which the first bytes name this object: a watch
  /// is one pointer, and an idle connection pays for no allocation's header.
  private static let blockByteCount = 4096
  private static let headerByteCount = 16

  let pointer: OpaquePointer
  private var blocks: [UnsafeMutableRawPointer] = []
  private var spares: [UnsafeMutablePointer<WatchSlot>] = []

  init() throws(SystemError) {
    guard let pointer = spate_base_new() else {
      throw SystemError(code: SystemError.noMemory, call: "epoll_create")
    }
    self.pointer = pointer
  }

  deinit {
    event_base_free(pointer)
    for block in blocks { block.deallocate() }
  }

  /// Room for one event, which keeps this object until it is given back.
  func takeSlot() -> UnsafeMutablePointer<WatchSlot> {
    if spares.isEmpty { addBlock() }
    _ = Unmanaged.passUnretained(self).retain()
    return spares.removeLast()
  }

  static func giveBack(_ slot: UnsafeMutablePointer<WatchSlot>) {
    let address = UInt(bitPattern: slot) & ~UInt(blockByteCount - 1)
    guard let block = UnsafeRawPointer(bitPattern: address) else {
      preconditionFailure("a slot lies in a block")
    }
    let base = block.load(as: Unmanaged<EventBase>.self)
    base.takeUnretainedValue().spares.append(slot)
    base.release()
  }

  private func addBlock() {
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: Self.blockByteCount, alignment: Self.blockByteCount)
    block.storeBytes(of: Unmanaged.passUnretained(self), as: Unmanaged<EventBase>.self)
    blocks.append(block)
    let count =
      (Self.blockByteCount - Self.headerByteCount) / MemoryLayout<WatchSlot>.stride
    let first = (block + Self.headerByteCount).bindMemory(to: WatchSlot.self, capacity: count)
    for index in 0..<count { spares.append(first + index) }
  }
}
