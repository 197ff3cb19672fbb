package import Content

/// `GET /-/manifest/PATH`.
extension Manifest {
  package func json() -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("name", name)
      json.member("id", id.hex)
      json.member("size", byteCount)
      json.member("piece_length", geometry.pieceByteCount)
      json.member("sha256", sha256.hex)
      json.member("md5", md5.hex)
      json.member("publisher", publisher)
      json.member("path", path)
      json.member("modified", modified)
    }
    return json.bytes
  }

  /// Reads a manifest that arrived; members of other names are left alone.
  package static func parse(_ bytes: Span<UInt8>) throws(WireError) -> Manifest {
    let document = try JSONValue(bytes)
    let text = { (name: String) throws(WireError) -> String in
      guard let text = document[name]?.string else { throw missing(name) }
      return text
    }
    let number = { (name: String) throws(WireError) -> Int in
      guard let number = document[name]?.integer else { throw missing(name) }
      return number
    }
    guard let id = PackageID(hex: try text("id")) else { throw missing("id") }
    guard let sha256 = SHA256Digest(hex: try text("sha256")) else { throw missing("sha256") }
    guard let md5 = MD5Digest(hex: try text("md5")) else { throw missing("md5") }
    guard let geometry = Geometry(byteCount: try number("size")) else { throw missing("size") }
    guard try number("piece_length") == geometry.pieceByteCount else {
      throw WireError(.badGateway, "the manifest's piece_length is not the one of its size")
    }
    guard
      let manifest = Manifest(
        name: try text("name"), id: id, geometry: geometry, sha256: sha256, md5: md5,
        publisher: try text("publisher"), path: try text("path"),
        modified: try number("modified"))
    else { throw WireError(.badGateway, "the manifest's texts are out of their limits") }
    return manifest
  }

  private static func missing(_ name: String) -> WireError {
    WireError(.badGateway, "the manifest has no valid \(name)")
  }
}
