/// What a package is and where it came from. Published by the origin; everything a peer fetches is
/// checked against the `id` in it.
package struct Manifest: Hashable, Sendable {
  package static let nameByteCountMax = 255
  package static let provenanceByteCountMax = 4_096

  /// The last component of the name it was published under: never empty, no `/`, no control byte.
  package let name: String
  package let id: PackageID
  package let geometry: Geometry
  /// Of the whole file, as `sha256sum` and `md5sum` print them.
  package let sha256: SHA256Digest
  package let md5: MD5Digest
  /// Who published it: a host name or label, free text.
  package let publisher: String
  /// The name it has at the origin: a percent-encoded path from `/`.
  package let path: String
  /// Last modification at the origin, seconds since 1970.
  package let modified: Int

  package var byteCount: Int { geometry.byteCount }

  /// Nil when a text is out of its limits or has control characters, or the name is not one
  /// component.
  package init?(
    name: String, id: PackageID, geometry: Geometry, sha256: SHA256Digest, md5: MD5Digest,
    publisher: String, path: String, modified: Int
  ) {
    let isPlain = { (text: String) in text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }
    guard !name.isEmpty, name.utf8.count <= Self.nameByteCountMax, name != ".", name != "..",
      !name.utf8.contains(UInt8(ascii: "/")), isPlain(name),
      publisher.utf8.count <= Self.provenanceByteCountMax, isPlain(publisher),
      path.utf8.count <= Self.provenanceByteCountMax, isPlain(path),
      geometry.byteCount > 0 || id.root == .zero
    else { return nil }
    self.name = name
    self.id = id
    self.geometry = geometry
    self.sha256 = sha256
    self.md5 = md5
    self.publisher = publisher
    self.path = path
    self.modified = modified
  }
}
