internal import Content

/// The piece layer of a package whose size is not known yet, from leaves that come in order.
///
/// It assumes the smallest pieces, and each time there are more than a package may have it joins
/// them in pairs, so it never holds more than `Geometry.pieceCountMax` roots and one piece's
/// leaves.
struct PieceLayerBuilder: Sendable {
  private var roots: [SHA256Digest] = []
  /// Leaves of the piece that is not complete yet.
  private var pending: [SHA256Digest] = []
  /// The layer that `roots` belong to.
  private var layer = Self.layerMin

  private static let layerMin =
    (Geometry.pieceByteCountMin / Geometry.blockByteCount).trailingZeroBitCount

  mutating func append(leaf: SHA256Digest) {
    // Only now is it known that the pieces so far were not the last.
    if pending.count == 1 << layer { closePiece() }
    pending.append(leaf)
  }

  private mutating func closePiece() {
    roots += TreeHash.fold(pending, from: 0, to: layer)
    pending.removeAll(keepingCapacity: true)
    guard roots.count == Geometry.pieceCountMax else { return }
    roots = TreeHash.layer(above: roots, layer: layer)
    layer += 1
  }

  /// The piece layer of the package that all leaves so far are, and an empty builder again.
  mutating func finish(geometry: Geometry) -> [SHA256Digest] {
    defer { self = PieceLayerBuilder() }
    guard !pending.isEmpty else { return [] }
    return roots + TreeHash.fold(pending, from: 0, to: geometry.pieceLayer)
  }
}
