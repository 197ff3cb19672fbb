import CLinux
package import Content
import Synchronization

/// A file held open, shared by reference count: a download may go on while the name is replaced.
package final class OpenFile: Sendable {
  private let descriptor: FileDescriptor
  /// What `isResident` last found out.
  let residency = Atomic<ResidencyMemo>(.nothingKnown)
  /// A disk was waited for: until when that is not forgotten, in nanoseconds of the clock.
  let doubtfulUntil = Atomic<Int64>(.min)

  package init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  /// How `init(path:_:)` opens.
  package enum Access: Sendable {
    case read
    case readWrite
    /// Read and write, made with mode 0600 when missing.
    case createOrOpen
    /// Read and write, must not exist.
    case createNew
  }

  package convenience init(path: String, _ access: Access = .read) throws(SystemError) {
    let flags: Int32 =
      switch access {
      // Non-blocking so that a FIFO of that name does not hold the caller.
      case .read: O_RDONLY | O_NONBLOCK
      case .readWrite: O_RDWR | O_NONBLOCK
      case .createOrOpen: O_RDWR | O_CREAT | O_NONBLOCK
      case .createNew: O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK
      }
    self.init(try FileDescriptor.open(path, flags: flags, mode: 0o600))
  }

  /// For the calls of this room and of those above that take descriptors; never to be closed.
  package var rawDescriptor: Int32 { descriptor.rawValue }

  package func status() throws(SystemError) -> FileStatus {
    var status = stat()
    try check("fstat") { fstat(descriptor.rawValue, &status) }
    return FileStatus(status)
  }

  /// Reads at an offset: as many bytes as there are, up to the buffer's count; 0 is the end.
  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(SystemError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = systemCall("pread", limit: buffer.count - done) { limit in
        pread(descriptor.rawValue, buffer.baseAddress! + done, limit, off_t(offset + done))
      }
      guard count >= 0 else { throw SystemError(code: Int32(-count), call: "pread") }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// Reads what memory holds already, without ever waiting for a disk.
  /// - Returns: the bytes read, 0 at the end of the file, nil when a disk would have to be asked
  ///   (or when the file system cannot tell).
  package func readResident(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int? {
    let count = systemCall("preadv2", limit: buffer.count) { limit in
      spate_pread_nowait(descriptor.rawValue, buffer.baseAddress, limit, off_t(offset))
    }
    return count < 0 ? nil : count
  }

  /// Writes all of it at an offset.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      let count = systemCall("pwrite", limit: bytes.count - done) { limit in
        pwrite(descriptor.rawValue, bytes.baseAddress! + done, limit, off_t(offset + done))
      }
      guard count >= 0 else { throw SystemError(code: Int32(-count), call: "pwrite") }
      done += count
    }
  }

  /// fdatasync: returns when the bytes are on the disk. After a failure the file's pages are in
  /// doubt for good: drop what was written, do not try again.
  package func synchronize() throws(SystemError) {
    try check("fdatasync") { fdatasync(descriptor.rawValue) }
  }

  package func truncate(to byteCount: Int) throws(SystemError) {
    try check("ftruncate") { ftruncate(descriptor.rawValue, off_t(byteCount)) }
  }

  /// Gives the range's blocks back to the file system; it reads as zeros afterwards.
  package func punchHole(_ range: ByteRange) throws(SystemError) {
    try check("fallocate") {
      spate_punch_hole(descriptor.rawValue, off_t(range.offset), off_t(range.count))
    }
  }

  /// Takes the file's exclusive lock without waiting; false when another process has it. The lock
  /// ends with this object.
  package func lockExclusively() throws(SystemError) -> Bool {
    do {
      try check("flock") { flock(descriptor.rawValue, LOCK_EX | LOCK_NB) }
      return true
    } catch {
      guard error.code == EWOULDBLOCK else { throw error }
      return false
    }
  }

  /// Gives the lock back at once. To close the file is not enough where the process is just starting
  /// another: until that runs its own program it has a copy of the descriptor.
  package func unlock() { _ = flock(descriptor.rawValue, LOCK_UN) }
}

/// Consecutive bytes of an open file: what an output queue sends without reading them.
package struct FileSlice: Sendable {
  package let file: OpenFile
  package let range: ByteRange

  package init(file: OpenFile, range: ByteRange) {
    self.file = file
    self.range = range
  }
}
