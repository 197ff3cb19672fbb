package import Content

/// The arithmetic of BEP 52's tree: SHA-256 leaves over 16 KiB blocks, a parent the SHA-256 of its
/// two children, and zero hashes where a file has no more blocks.
package enum TreeHash {
  /// The digest of each 16 KiB block of `bytes`, which begin at a block's first byte; the last
  /// block may be short. Several blocks are hashed at a time: give it many.
  package static func leaves(
    of bytes: UnsafeRawBufferPointer, kernel: DigestKernel = .best
  ) -> [SHA256Digest] {
    LaneDigester.sha256(
      ofPartsOf: bytes, partByteCount: Geometry.blockByteCount, kernel: kernel)
  }

  package static func parent(_ left: SHA256Digest, _ right: SHA256Digest) -> SHA256Digest {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 8) { message in
      append(left, to: message, at: 0)
      append(right, to: message, at: 4)
      return LaneDigester.sha256(ofPair: UnsafeRawBufferPointer(message))
    }
  }

  /// Writes the bytes of `digest` where word `index` of `words` is.
  private static func append(
    _ digest: SHA256Digest, to words: UnsafeMutableBufferPointer<UInt64>, at index: Int
  ) {
    let (a, b, c, d) = digest.words
    words.initializeElement(at: index, to: a.bigEndian)
    words.initializeElement(at: index + 1, to: b.bigEndian)
    words.initializeElement(at: index + 2, to: c.bigEndian)
    words.initializeElement(at: index + 3, to: d.bigEndian)
  }

  /// The node in `layer` that has nothing but padding leaves under it.
  package static func padding(layer: Int) -> SHA256Digest { paddings[layer] }

  /// Enough for any `Int` of leaves.
  private static let paddings: [SHA256Digest] = {
    var nodes = [SHA256Digest.zero]
    while nodes.count < Int.bitWidth {
      nodes.append(parent(nodes[nodes.count - 1], nodes[nodes.count - 1]))
    }
    return nodes
  }()

  /// The parents of `nodes`, which are consecutive nodes of `layer`, the first a left child. Where
  /// the last has no sibling among them, padding stands in.
  package static func layer(above nodes: [SHA256Digest], layer: Int) -> [SHA256Digest] {
    guard nodes.count > 1 else { return nodes.map { parent($0, padding(layer: layer)) } }
    let pairs = (nodes.count + 1) / 2
    return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: pairs * 8) { message in
      for (index, node) in nodes.enumerated() { append(node, to: message, at: index * 4) }
      if !nodes.count.isMultiple(of: 2) {
        append(padding(layer: layer), to: message, at: nodes.count * 4)
      }
      return LaneDigester.sha256(
        ofPartsOf: UnsafeRawBufferPointer(message), partByteCount: 2 * SHA256Digest.byteCount)
    }
  }

  /// The nodes of the layer `upper` that stand over `nodes` of the layer `lower`.
  package static func fold(
    _ nodes: [SHA256Digest], from lower: Int, to upper: Int
  ) -> [SHA256Digest] {
    var nodes = nodes
    for layer in lower..<upper { nodes = Self.layer(above: nodes, layer: layer) }
    return nodes
  }
}

/// The tree of a package.
extension TreeHash {
  /// The roots of all pieces, from the leaves of the whole package.
  package static func pieceLayer(
    leaves: [SHA256Digest], geometry: Geometry
  ) -> [SHA256Digest] {
    precondition(leaves.count == geometry.blockCount, "every block has a leaf")
    return fold(leaves, from: 0, to: geometry.pieceLayer)
  }

  /// The root of one piece from its own leaves. In a package of several pieces the last piece is
  /// padded to a full one; a package of one piece is only as high as its blocks need.
  package static func pieceRoot(
    leaves: [SHA256Digest], ofPiece piece: PieceIndex, geometry: Geometry
  ) -> SHA256Digest {
    let leafCount = TreeShape.blockCount(inPiece: piece, geometry: geometry)
    precondition(leaves.count == leafCount, "every block of the piece has a leaf")
    return fold(leaves, from: 0, to: geometry.pieceLayer)[0]
  }

  /// The package's root, from the roots of all its pieces. BEP 52 gives the empty file none; ours
  /// is 32 zero bytes.
  package static func root(pieceLayer: [SHA256Digest], geometry: Geometry) -> SHA256Digest {
    precondition(pieceLayer.count == geometry.pieceCount, "every piece has a root")
    guard !pieceLayer.isEmpty else { return .zero }
    return fold(pieceLayer, from: geometry.pieceLayer, to: geometry.tree.height)[0]
  }
}

extension TreeShape {
  fileprivate static func blockCount(inPiece piece: PieceIndex, geometry: Geometry) -> Int {
    let byteCount = geometry.byteRange(of: piece).count
    return (byteCount + Geometry.blockByteCount - 1) / Geometry.blockByteCount
  }
}
