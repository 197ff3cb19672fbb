import Content
import HTTP
import Posix
import Storage
import Wire

/// A file held open for the requests that name it: what is served is what was checked.
final class CachedFile {
  /// The path of the request line, as it was spelled there.
  let key: [UInt8]
  /// Under the root, decoded.
  let path: String
  let file: OpenFile
  let status: FileStatus
  /// Nil until its digests are known.
  let entry: CatalogueEntry?
  let representation: Representation
  /// When the name was last seen to mean this file.
  var checked: Instant
  /// Asked for since the cache last looked for a victim.
  var wasUsed = false

  init(
    key: [UInt8], path: String, file: OpenFile, status: FileStatus, entry: CatalogueEntry?,
    content: [UInt8]? = nil, now: Instant
  ) {
    self.key = key
    self.path = path
    self.file = file
    self.status = status
    self.entry = entry
    checked = now
    var extra: [UInt8] = []
    if let manifest = entry?.manifest {
      HeadWriter.field(.spatePackage, manifest.id.hex, to: &extra)
      HeadWriter.field(.reprDigest, DigestField.reprDigest(manifest.sha256), to: &extra)
      HeadWriter.field(.digest, DigestField.digest(manifest.sha256), to: &extra)
    }
    representation = Representation(
      byteCount: status.byteCount, etag: Self.etag(status, entry),
      modified: Int(status.modified / 1_000_000_000),
      contentType: Array(ContentType.of(path).utf8), extraFields: extra, content: content)
  }

  var heldByteCount: Int { representation.content?.count ?? 0 }

  /// The package's id names its bytes; before it is known, size and time of the last change do.
  private static func etag(_ status: FileStatus, _ entry: CatalogueEntry?) -> [UInt8] {
    if let entry { return EntityTag(entry.id).field }
    let size = String(status.byteCount, radix: 16)
    let time = String(UInt64(bitPattern: status.modified), radix: 16)
    return Array("\"\(size)-\(time)\"".utf8)
  }
}
