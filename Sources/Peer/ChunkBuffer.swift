import Synchronization

/// Memory for bytes on their way from a socket through verification to the cache: filled on the
/// loop, then owned by one worker, then free again.
final class ChunkBuffer: @unchecked Sendable {
  /// Large enough that a worker's turn is worth its wake-up, small enough to stay in the cache.
  static let byteCount = 256 * 1024

  let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4_096)

  deinit { bytes.deallocate() }
}

/// Free chunk buffers, from any thread.
final class ChunkBufferPool: Sendable {
  private struct State {
    var free: [ChunkBuffer] = []
    var outCount = 0
  }

  /// Buffers kept when nobody needs them; while some are out, all are kept for the next burst, for
  /// fresh memory costs the kernel more than the bytes cost us.
  private static let freeCountMax = 32
  private let state = Mutex(State())

  func take() -> ChunkBuffer {
    let kept = state.withLock { state in
      state.outCount += 1
      return state.free.popLast()
    }
    return kept ?? ChunkBuffer()
  }

  func giveBack(_ buffer: ChunkBuffer) {
    state.withLock { state in
      state.outCount -= 1
      state.free.append(buffer)
      guard state.outCount == 0 else { return }
      state.free.removeLast(max(state.free.count - Self.freeCountMax, 0))
    }
  }
}
