import Content
import Synchronization

/// Who writes to the data file, and what waits for it.
///
/// A file takes one writer at a time, and a thread that meets another one there spins for as long as
/// that writes: a third of the processor time of a download was spent so. Whoever comes while one
/// writes leaves its bytes to that one and goes on with something else.
struct WriteTurns {
  /// Unchecked: the bytes are not touched by anybody else until `completion` was called.
  struct Write: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    let offset: Int
    let completion: @Sendable (StorageError?) -> Void
  }

  private var waiting: [Write] = []
  private var isWriting = false

  /// - Returns: whether the caller is to write, until `next` has nothing more for it.
  mutating func add(_ write: Write) -> Bool {
    waiting.append(write)
    defer { isWriting = true }
    return !isWriting
  }

  /// What has come meanwhile; empty when the turn is over.
  mutating func next() -> [Write] {
    let writes = waiting
    waiting = []
    isWriting = !writes.isEmpty
    return writes
  }
}

extension StoredPackage {
  /// The same as `write(_:at:)`, by this thread or by one that is writing to the file already.
  ///
  /// - Parameters:
  ///   - bytes: must stay as they are until `completion`.
  ///   - completion: runs on the thread that wrote, before this returns or any time after.
  package func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int,
    completion: @escaping @Sendable (StorageError?) -> Void
  ) {
    let write = WriteTurns.Write(bytes: bytes, offset: offset, completion: completion)
    guard turns.withLock({ $0.add(write) }) else { return }
    while true {
      let writes = turns.withLock { $0.next() }
      if writes.isEmpty { return }
      for write in writes { perform(write) }
    }
  }

  private func perform(_ turn: WriteTurns.Write) {
    do {
      try write(turn.bytes, at: turn.offset)
      turn.completion(nil)
    } catch {
      turn.completion(error)
    }
  }
}
