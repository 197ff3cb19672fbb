import CLinux

/// What `fstat` says of a file. Equal statuses of a name mean, as far as the file system can tell,
/// equal content.
package struct FileStatus: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case regular
    case directory
    case symbolicLink
    case other
  }

  package let kind: Kind
  package let byteCount: Int
  /// Bytes the file system spends on it; less than `byteCount` where there are holes.
  package let allocatedByteCount: Int
  package let device, inode: UInt64
  /// Of the content, in nanoseconds since 1970.
  package let modified: Int64
  /// Of content or attributes, in nanoseconds since 1970; no program can set it back.
  package let changed: Int64
  /// The lower twelve bits of the mode.
  package let permissions: UInt32

  init(_ status: stat) {
    kind =
      switch Int32(status.st_mode) & Int32(S_IFMT) {
      case Int32(S_IFREG): .regular
      case Int32(S_IFDIR): .directory
      case Int32(S_IFLNK): .symbolicLink
      default: .other
      }
    byteCount = Int(status.st_size)
    allocatedByteCount = Int(status.st_blocks) * 512
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    changed = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    permissions = UInt32(status.st_mode & 0o7777)
  }
}
