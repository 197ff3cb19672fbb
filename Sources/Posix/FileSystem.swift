import CLinux

/// Calls on paths that the program itself made up (its state and cache directories), never on names
/// from a network: those go through `DirectoryRoot`.
package enum FileSystem {
  package static func status(of path: String) throws(SystemError) -> FileStatus {
    var status = stat()
    try check("stat") { stat(path, &status) }
    return FileStatus(status)
  }

  /// Nil when nothing is there.
  package static func statusIfPresent(of path: String) throws(SystemError) -> FileStatus? {
    do {
      return try status(of: path)
    } catch {
      guard error.isNotFound else { throw error }
      return nil
    }
  }

  /// Replaces what has the new name, at once for every observer.
  package static func rename(_ old: String, to new: String) throws(SystemError) {
    try check("rename") { CLinux.rename(old, new) }
  }

  /// Removes a file; one that is not there is no error.
  package static func remove(_ path: String) throws(SystemError) {
    do {
      try check("unlink") { unlink(path) }
    } catch {
      guard error.isNotFound else { throw error }
    }
  }

  package static func removeEmptyDirectory(_ path: String) throws(SystemError) {
    try check("rmdir") { rmdir(path) }
  }

  /// Makes a directory and those above it that are missing; one that exists is left as it is.
  package static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
    do {
      try check("mkdir") { mkdir(path, mode_t(mode)) }
    } catch {
      if error.code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
        try makeDirectory(String(path[..<slash]), mode: mode)
        try check("mkdir") { mkdir(path, mode_t(mode)) }
        return
      }
      guard error.isAlreadyThere, try status(of: path).kind == .directory else { throw error }
    }
  }

  package static func changePermissions(
    of path: String, to mode: UInt32
  ) throws(SystemError) {
    try check("chmod") { chmod(path, mode_t(mode)) }
  }

  /// Unsorted, without `.` and `..`.
  package static func list(_ directory: String) throws(SystemError) -> [DirectoryEntry] {
    try readEntries(of: FileDescriptor.open(directory, flags: O_RDONLY | O_DIRECTORY))
  }

  /// Makes renames and removals in a directory outlast a power cut.
  package static func synchronizeDirectory(_ path: String) throws(SystemError) {
    let directory = try FileDescriptor.open(path, flags: O_RDONLY | O_DIRECTORY)
    try check("fsync") { fsync(directory.rawValue) }
  }

  /// Absolute, with links resolved. The path must exist.
  package static func canonicalPath(_ path: String) throws(SystemError) -> String {
    guard let resolved = realpath(path, nil) else {
      throw SystemError(code: __errno_location().pointee, call: "realpath")
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// Copies between files without bringing the bytes here where the kernel can, else by reading.
  package static func copy(
    from source: OpenFile, at sourceOffset: Int, to target: OpenFile, at targetOffset: Int,
    byteCount: Int
  ) throws(SystemError) {
    var done = 0
    while done < byteCount {
      var from = off_t(sourceOffset + done)
      var to = off_t(targetOffset + done)
      let count = systemCall("copy_file_range", limit: byteCount - done) { limit in
        copy_file_range(source.rawDescriptor, &from, target.rawDescriptor, &to, limit, 0)
      }
      if count == 0 { throw SystemError(code: EIO, call: "copy_file_range") }
      if count < 0 {
        guard [EXDEV, EINVAL, ENOSYS, EOPNOTSUPP].contains(Int32(-count)) else {
          throw SystemError(code: Int32(-count), call: "copy_file_range")
        }
        return try copyByReading(
          from: source, at: sourceOffset + done, to: target, at: targetOffset + done,
          byteCount: byteCount - done)
      }
      done += count
    }
  }

  private static func copyByReading(
    from source: OpenFile, at sourceOffset: Int, to target: OpenFile, at targetOffset: Int,
    byteCount: Int
  ) throws(SystemError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 4096)
    defer { buffer.deallocate() }
    var done = 0
    while done < byteCount {
      let part = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<min(buffer.count, byteCount - done)])
      let count = try source.read(into: part, at: sourceOffset + done)
      guard count > 0 else { throw SystemError(code: EIO, call: "pread") }
      try target.write(UnsafeRawBufferPointer(rebasing: part[..<count]), at: targetOffset + done)
      done += count
    }
  }
}
