package import Content

/// What a `TreeSlice` asks for: its nodes, and the siblings on the way to the root, from the
/// slice's apex upward.
package struct TreeBranch: Hashable, Sendable {
  package let nodes: [SHA256Digest]
  package let proof: [SHA256Digest]
}

extension TreeHash {
  /// Cuts `slice` out of the tree above the piece layer; nil when the slice lies below it and the
  /// leaves of its pieces are needed.
  package static func branch(
    of slice: TreeSlice, pieceLayer: [SHA256Digest], geometry: Geometry
  ) -> TreeBranch? {
    precondition(slice.shape == geometry.tree, "the slice is of this package")
    precondition(pieceLayer.count == geometry.pieceCount, "every piece has a root")
    guard slice.layer >= geometry.pieceLayer else { return nil }
    var nodes = fold(pieceLayer, from: geometry.pieceLayer, to: slice.layer)
    let asked = Array(nodes[slice.first..<slice.first + slice.count])
    nodes = fold(nodes, from: slice.layer, to: slice.apexLayer)
    let proof = siblings(
      of: slice.first >> (slice.apexLayer - slice.layer), in: nodes, layer: slice.apexLayer,
      to: slice.shape.height)
    return TreeBranch(nodes: asked, proof: proof)
  }

  /// The pieces whose leaves `branch(of:leaves:of:pieceLayer:geometry:)` needs for `slice`; nil
  /// when the piece layer is enough.
  package static func pieces(under slice: TreeSlice, geometry: Geometry) -> PieceRun? {
    guard slice.layer < geometry.pieceLayer else { return nil }
    let shift = geometry.pieceLayer - slice.layer
    let first = slice.first >> shift
    let last = (slice.first + slice.count - 1) >> shift
    return PieceRun(first: PieceIndex(first), count: last - first + 1)
  }

  /// Cuts `slice`, which lies below the piece layer, out of the leaves of the pieces under it and
  /// the piece layer above them. Nil when `run` is not `pieces(under: slice)` or has not so many
  /// leaves.
  package static func branch(
    of slice: TreeSlice, leaves: [SHA256Digest], of run: PieceRun, pieceLayer: [SHA256Digest],
    geometry: Geometry
  ) -> TreeBranch? {
    precondition(slice.shape == geometry.tree, "the slice is of this package")
    precondition(pieceLayer.count == geometry.pieceCount, "every piece has a root")
    guard run == pieces(under: slice, geometry: geometry) else { return nil }
    let blockEnd = min(run.end * geometry.blocksPerPiece, geometry.blockCount)
    // Positions inside the run: its first leaf is a multiple of every width below the piece layer.
    let origin = run.first.rawValue * geometry.blocksPerPiece
    guard leaves.count == blockEnd - origin else { return nil }
    let nodes = fold(leaves, from: 0, to: slice.layer)
    let start = slice.first - origin >> slice.layer
    let asked = Array(nodes[start..<start + slice.count])
    guard slice.apexLayer < geometry.pieceLayer else {
      let position = slice.first >> (slice.apexLayer - slice.layer)
      let roots = fold(pieceLayer, from: geometry.pieceLayer, to: slice.apexLayer)
      let proof = siblings(
        of: position, in: roots, layer: slice.apexLayer, to: slice.shape.height)
      return TreeBranch(nodes: asked, proof: proof)
    }
    let position = start >> (slice.apexLayer - slice.layer)
    let inside = siblings(
      of: position, in: fold(nodes, from: slice.layer, to: slice.apexLayer),
      layer: slice.apexLayer, to: geometry.pieceLayer)
    let above = siblings(
      of: run.first.rawValue, in: pieceLayer, layer: geometry.pieceLayer,
      to: slice.shape.height)
    return TreeBranch(nodes: asked, proof: inside + above)
  }

  /// Whether `nodes` and `proof`, which anybody may have sent, lead to `root`.
  package static func verify(
    slice: TreeSlice, nodes: [SHA256Digest], proof: [SHA256Digest], root: SHA256Digest
  ) -> Bool {
    guard nodes.count == slice.count, proof.count == slice.proofCount else { return false }
    // A slice has a node at least, and one stands over all of them at its apex.
    var node = fold(nodes, from: slice.layer, to: slice.apexLayer)[0]
    var position = slice.first >> (slice.apexLayer - slice.layer)
    for sibling in proof {
      node = position & 1 == 0 ? parent(node, sibling) : parent(sibling, node)
      position >>= 1
    }
    return node == root
  }

  /// The siblings of the node at `position` of `nodes`, which is a whole layer or an aligned part
  /// of one, and of its ancestors below the layer `upper`.
  private static func siblings(
    of position: Int, in nodes: [SHA256Digest], layer: Int, to upper: Int
  ) -> [SHA256Digest] {
    var nodes = nodes
    var position = position
    var siblings: [SHA256Digest] = []
    for layer in layer..<upper {
      let sibling = position ^ 1
      siblings.append(sibling < nodes.count ? nodes[sibling] : padding(layer: layer))
      nodes = Self.layer(above: nodes, layer: layer)
      position >>= 1
    }
    return siblings
  }
}
