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
  /// Exactly one of the two is there.
  private var woven: WovenChains?
  private var streamed: StreamedChains?
  private var pieces = PieceLayerBuilder()
  package private(set) var byteCount = 0

  /// `kernel` is for tests and measurements.
  package init(kernel: DigestKernel = .best) {
    if kernel == .best, WovenChains.run {
      woven = WovenChains()
    } else {
      streamed = StreamedChains(kernel: kernel)
    }
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    byteCount += bytes.count
    woven?.update(bytes, pieces: &pieces)
    streamed?.update(bytes, pieces: &pieces)
  }

  /// The digests of all bytes since the last `finish`; the hasher is then ready for a new package.
  /// Nil when there were more than `Geometry.byteCountMax`.
  package mutating func finish() -> PackageDigests? {
    let finished = woven?.finish(pieces: &pieces) ?? streamed?.finish(pieces: &pieces)
    guard let (sha256, md5) = finished else { preconditionFailure("one of the two is there") }
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
