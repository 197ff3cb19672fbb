package import Content
import Digests
package import Posix

/// A name under the root whose digests are known for the bytes it has now.
package final class CatalogueEntry: Sendable {
  package let manifest: Manifest
  /// The root of each piece; none for the empty package.
  package let pieceLayer: [SHA256Digest]
  /// The file as it was hashed.
  package let status: FileStatus

  init(manifest: Manifest, pieceLayer: [SHA256Digest], status: FileStatus) {
    self.manifest = manifest
    self.pieceLayer = pieceLayer
    self.status = status
  }

  package var id: PackageID { manifest.id }

  /// Whether a file with `status` is the one that was hashed.
  package func describes(_ status: FileStatus) -> Bool {
    FileKey(self.status) == FileKey(status)
  }
}

/// What must be equal for a file to count as unchanged. Not the device: its number may differ after
/// a restart of the machine.
struct FileKey: Hashable, Sendable {
  let byteCount: Int
  let inode: UInt64
  let modified, changed: Int64

  init(byteCount: Int, inode: UInt64, modified: Int64, changed: Int64) {
    self.byteCount = byteCount
    self.inode = inode
    self.modified = modified
    self.changed = changed
  }

  init(_ status: FileStatus) {
    self.init(
      byteCount: status.byteCount, inode: status.inode, modified: status.modified,
      changed: status.changed)
  }
}

/// The digests of a name, as the index keeps them.
struct DigestRecord: Sendable {
  let path: String
  let key: FileKey
  let id: PackageID
  let sha256: SHA256Digest
  let md5: MD5Digest
  let pieceLayer: [SHA256Digest]

  /// Nil when the name is one that no manifest can have: too long, or with control characters.
  func entry(status: FileStatus, publisher: String) -> CatalogueEntry? {
    guard let geometry = Geometry(byteCount: key.byteCount),
      pieceLayer.count == geometry.pieceCount,
      let manifest = manifest(geometry: geometry, publisher: publisher)
    else { return nil }
    return CatalogueEntry(manifest: manifest, pieceLayer: pieceLayer, status: status)
  }

  /// Whether a manifest can have this name and publisher: not too long, no control characters.
  static func isPublishable(_ path: String, publisher: String) -> Bool {
    guard let empty = Geometry(byteCount: 0),
      let md5 = MD5Digest(bytes: Array(repeating: 0, count: MD5Digest.byteCount))
    else { return false }
    let record = DigestRecord(
      path: path, key: FileKey(byteCount: 0, inode: 0, modified: 0, changed: 0),
      id: PackageID(root: .zero), sha256: .zero, md5: md5, pieceLayer: [])
    return record.manifest(geometry: empty, publisher: publisher) != nil
  }

  private func manifest(geometry: Geometry, publisher: String) -> Manifest? {
    Manifest(
      name: path.split(separator: "/").last.map(String.init) ?? "", id: id, geometry: geometry,
      sha256: sha256, md5: md5, publisher: publisher, path: "/" + Self.percentEncoded(path),
      modified: Int(key.modified / 1_000_000_000))
  }

  /// RFC 3986: everything but unreserved characters and the slashes between components.
  static func percentEncoded(_ path: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var text: [UInt8] = []
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "/"):
        text.append(byte)
      default:
        text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xf)]]
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
