/// The shape of BEP 52's tree: leaves padded with zero hashes to a power of two, layers counted
/// from the leaves (0) to the root (`height`).
package struct TreeShape: Hashable, Sendable {
  package let leafCount: Int

  package init(leafCount: Int) {
    precondition(leafCount >= 0, "a tree has leaves or none")
    self.leafCount = leafCount
  }

  package var height: Int {
    leafCount <= 1 ? 0 : Int.bitWidth - (leafCount - 1).leadingZeroBitCount
  }

  /// How many nodes of `layer` stand over at least one real leaf.
  package func nodeCount(inLayer layer: Int) -> Int {
    leafCount == 0 ? 0 : (leafCount - 1) >> layer + 1
  }
}

/// Nodes of one layer that a peer asks for: the whole layer, or an aligned power of two of them.
/// With the siblings on the way up, either can be checked against the root alone.
package struct TreeSlice: Hashable, Sendable {
  /// 8,192 nodes are the piece layer of the largest package: 256 KiB.
  package static let nodeCountMax = Geometry.pieceCountMax

  package let shape: TreeShape
  package let layer: Int
  package let first: Int
  /// Nodes asked for, real ones only: the last slice of a layer may be short.
  package let count: Int
  /// The layer in which a single node stands over the slice.
  package let apexLayer: Int

  /// `width` is a power of two and `first` a multiple of it; nil for anything else or out of bounds.
  package init?(shape: TreeShape, layer: Int, first: Int, width: Int) {
    guard (0...shape.height).contains(layer), width > 0, width & (width - 1) == 0, first >= 0,
      first & (width - 1) == 0, first < shape.nodeCount(inLayer: layer)
    else { return nil }
    let count = min(width, shape.nodeCount(inLayer: layer) - first)
    guard count <= Self.nodeCountMax else { return nil }
    self.shape = shape
    self.layer = layer
    self.first = first
    self.count = count
    apexLayer = min(layer + width.trailingZeroBitCount, shape.height)
  }

  /// The whole of `layer`; nil when it has more than `nodeCountMax` nodes or does not exist.
  package init?(shape: TreeShape, wholeLayer layer: Int) {
    guard (0...shape.height).contains(layer) else { return nil }
    self.init(shape: shape, layer: layer, first: 0, width: 1 << (shape.height - layer))
  }

  /// Hashes that follow the nodes, one sibling for each layer from the apex to below the root.
  package var proofCount: Int { shape.height - apexLayer }
}
