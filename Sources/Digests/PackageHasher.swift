package import Content

/// Everything a manifest says about a package's bytes.
package struct PackageDigests: Hashable, Sendable {
  package let id: PackageID
  package let geometry: Geometry
  /// Of the whole file.
  package let sha256: SHA256Digest
  package let md5: MD5Digest
  /// The root of each piece; none for the empty package.
  package let pieceLayer: [SHA256Digest]
}

/// Digests of a package whose bytes arrive in order, in parts of any size, in one pass. The
/// package's size need not be known beforehand.
package struct PackageHasher: ~Copyable, Sendable {
  private var sha256 = SHA256Stream()
  private var md5 = MD5Stream()
  private var pieces = PieceLayerBuilder()
  /// The beginning of a block whose end has not come yet.
  private var partialBlock: [UInt8] = []
  package private(set) var byteCount = 0

  package init() {
    partialBlock.reserveCapacity(Geometry.blockByteCount)
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    byteCount += bytes.count
    sha256.update(bytes)
    md5.update(bytes)
    var rest = bytes[...]
    if !partialBlock.isEmpty {
      let missing = Geometry.blockByteCount - partialBlock.count
      partialBlock.append(contentsOf: rest.prefix(missing))
      rest = rest.dropFirst(missing)
      guard partialBlock.count == Geometry.blockByteCount else { return }
      partialBlock.withUnsafeBytes { pieces.append(leaves: TreeHash.leaves(of: $0)) }
      partialBlock.removeAll(keepingCapacity: true)
    }
    let whole = rest.prefix(rest.count / Geometry.blockByteCount * Geometry.blockByteCount)
    pieces.append(leaves: TreeHash.leaves(of: UnsafeRawBufferPointer(rebasing: whole)))
    partialBlock.append(contentsOf: rest.dropFirst(whole.count))
  }

  /// The digests of all bytes since the last `finish`; the hasher is then ready for a new package.
  /// Nil when there were more than `Geometry.byteCountMax`.
  package mutating func finish() -> PackageDigests? {
    if !partialBlock.isEmpty {
      partialBlock.withUnsafeBytes { pieces.append(leaves: TreeHash.leaves(of: $0)) }
      partialBlock.removeAll(keepingCapacity: true)
    }
    let sha256 = sha256.finish()
    let md5 = md5.finish()
    let geometry = Geometry(byteCount: byteCount)
    byteCount = 0
    guard let geometry else {
      pieces = PieceLayerBuilder()
      return nil
    }
    let pieceLayer = pieces.finish(geometry: geometry)
    let root = TreeHash.root(pieceLayer: pieceLayer, geometry: geometry)
    return PackageDigests(
      id: PackageID(root: root), geometry: geometry, sha256: sha256, md5: md5,
      pieceLayer: pieceLayer)
  }
}
