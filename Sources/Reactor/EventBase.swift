import CLibevent
import Posix

/// Owns libevent's base; freed after the last watch that was made on it.
final class EventBase {
  let pointer: OpaquePointer

  init() throws(SystemError) {
    guard let pointer = spate_base_new() else {
      throw SystemError(code: SystemError.noMemory, call: "epoll_create")
    }
    self.pointer = pointer
  }

  deinit { event_base_free(pointer) }
}
