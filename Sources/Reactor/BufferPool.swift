/// A loop's spare buffers of one size: a connection borrows one while it has unsent bytes and gives
/// it back when they are gone, so that a thousand idle connections own none.
package final class BufferPool {
  package static let bufferByteCount = 16 * 1024
  /// Spares beyond this are given back to the allocator: 4 MiB.
  private static let spareCountMax = 256

  private var spares: [UnsafeMutableRawBufferPointer] = []

  init() {}

  deinit { for spare in spares { spare.deallocate() } }

  package func take() -> UnsafeMutableRawBufferPointer {
    spares.popLast() ?? .allocate(byteCount: Self.bufferByteCount, alignment: 64)
  }

  package func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
    precondition(buffer.count == Self.bufferByteCount)
    if spares.count < Self.spareCountMax {
      spares.append(buffer)
    } else {
      buffer.deallocate()
    }
  }
}
