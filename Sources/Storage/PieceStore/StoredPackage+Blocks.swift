package import Content
import Digests
import Posix
import Synchronization

/// Reading what is not verified as a whole piece.
extension StoredPackage {
  /// The bytes of `range`, which begins with a block, when every block of it that is in the file
  /// matches its leaf. They were hashed where they lie now: whatever happens to the file meanwhile,
  /// nothing else leaves the cache. Nil when they do not match, or cannot be read.
  package func blocks(_ range: ByteRange, matching leaves: [SHA256Digest]) -> [UInt8]? {
    precondition(
      range.offset.isMultiple(of: Geometry.blockByteCount) && range.end <= geometry.byteCount,
      "the range is of blocks of the package")
    let file = state.withLock { $0.place == .discarded ? nil : $0.file }
    guard let file else { return nil }
    var isRead = false
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      do throws(SystemError) {
        isRead =
          try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: range.offset)
          == range.count
      } catch {
        isRead = false
      }
      count = isRead ? range.count : 0
    }
    guard isRead else { return nil }
    return bytes.withUnsafeBytes { TreeHash.leaves(of: $0) } == leaves ? bytes : nil
  }
}
