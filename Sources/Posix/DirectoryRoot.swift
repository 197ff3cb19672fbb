import CLinux

/// One name in a directory; the kind is of the entry itself, links are not followed.
package struct DirectoryEntry: Hashable, Sendable {
  package let name: String
  package let kind: FileStatus.Kind
}

/// A directory that names are looked up under, and never outside of: links within it work, links
/// and `..` that lead out fail with an error whose `isOutsideRoot` is true.
package final class DirectoryRoot: Sendable {
  package let path: String
  private let descriptor: FileDescriptor

  package init(path: String) throws(SystemError) {
    self.path = path
    descriptor = try .open(path, flags: O_RDONLY | O_DIRECTORY)
  }

  /// Opens for reading whatever is there: the caller looks at `status().kind` before it serves it.
  package func open(_ relativePath: String) throws(SystemError) -> OpenFile {
    OpenFile(try descriptor(of: relativePath, flags: O_RDONLY | O_NONBLOCK))
  }

  /// The names in a directory of the root, unsorted, without `.` and `..`. The empty path is the
  /// root. Names that are not UTF-8 are left out: no request can spell them.
  package func list(_ relativeDirectory: String) throws(SystemError) -> [DirectoryEntry] {
    let name = relativeDirectory.isEmpty ? "." : relativeDirectory
    // The directory itself is not reached through a link, so a walk meets no cycle.
    return try readEntries(
      of: descriptor(of: name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
  }

  private func descriptor(
    of name: String, flags: Int32
  ) throws(SystemError) -> FileDescriptor {
    // A path with a zero byte would be cut there by the kernel.
    guard !name.utf8.contains(0) else { throw SystemError(code: ENOENT, call: "openat2") }
    let raw = try check("openat2") {
      spate_openat2(
        descriptor.rawValue, name, UInt64(flags | O_CLOEXEC),
        spate_resolve_beneath | spate_resolve_no_magiclinks)
    }
    return FileDescriptor(owning: Int32(raw))
  }
}

/// Reads the entries of an open directory.
func readEntries(of directory: borrowing FileDescriptor) throws(SystemError) -> [DirectoryEntry] {
  // fdopendir takes its descriptor over: it gets a copy.
  let copy = Int32(try check("fcntl") { spate_duplicate(directory.rawValue) })
  guard let stream = fdopendir(copy) else {
    let code = __errno_location().pointee
    _ = close(copy)
    throw SystemError(code: code, call: "fdopendir")
  }
  defer { closedir(stream) }
  var entries: [DirectoryEntry] = []
  while true {
    __errno_location().pointee = 0
    guard let entry = readdir(stream) else {
      let code = __errno_location().pointee
      guard code == 0 else { throw SystemError(code: code, call: "readdir") }
      return entries
    }
    guard let found = directoryEntry(entry, in: dirfd(stream)) else { continue }
    entries.append(found)
  }
}

private func directoryEntry(
  _ entry: UnsafeMutablePointer<dirent>, in directory: Int32
) -> DirectoryEntry? {
  let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
  let bytes = start.assumingMemoryBound(to: CChar.self)
  guard let name = String(validatingCString: bytes), name != ".", name != ".." else { return nil }
  let kind: FileStatus.Kind
  switch Int32(entry.pointee.d_type) {
  case Int32(DT_REG): kind = .regular
  case Int32(DT_DIR): kind = .directory
  case Int32(DT_LNK): kind = .symbolicLink
  case Int32(DT_UNKNOWN):
    // Some file systems leave the kind out of the directory.
    var status = stat()
    guard fstatat(directory, bytes, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
    kind = FileStatus(status).kind
  default: kind = .other
  }
  return DirectoryEntry(name: name, kind: kind)
}
