import Content
import HTTP
import Storage
import Wire

/// How a package's bytes are described to whoever asks this node for them: made once, for answers
/// are many and short.
final class PackageRepresentation {
  let forPeers: Representation
  /// A client without our software was sent here by the origin, and the path does not say what to
  /// call the file (RFC 6266).
  let forOthers: Representation

  init(_ manifest: Manifest, _ stored: StoredPackage) {
    let name = PercentEncoding.encode(path: manifest.name)
    let disposition = "Content-Disposition: attachment; filename*=UTF-8''\(name)\r\n"
    func describe(_ extraFields: [UInt8]) -> Representation {
      Representation(
        byteCount: stored.geometry.byteCount, etag: EntityTag(stored.id).field,
        modified: manifest.modified, contentType: Array(ContentType.unknown.utf8),
        extraFields: extraFields)
    }
    forPeers = describe([])
    forOthers = describe(Array(disposition.utf8))
  }
}
