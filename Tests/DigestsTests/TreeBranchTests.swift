import Content
import Digests
import Testing

/// Parts of trees of many sizes, cut out by the holder and checked by the asker.
@Suite struct TreeBranchTests {
  struct Tree {
    let geometry: Geometry
    let leaves: [SHA256Digest]
    let pieceLayer: [SHA256Digest]
    let root: SHA256Digest

    init(blockCount: Int, using generator: inout SeededGenerator) throws {
      geometry = try #require(Geometry(byteCount: blockCount * Geometry.blockByteCount - 7))
      leaves = (0..<blockCount).map { _ in
        SHA256Digest(
          words: (generator.next(), generator.next(), generator.next(), generator.next()))
      }
      pieceLayer = TreeHash.pieceLayer(leaves: leaves, geometry: geometry)
      root = TreeHash.root(pieceLayer: pieceLayer, geometry: geometry)
    }

    /// What a holder of the package answers.
    func branch(_ slice: TreeSlice) -> TreeBranch? {
      guard let run = TreeHash.pieces(under: slice, geometry: geometry) else {
        return TreeHash.branch(of: slice, pieceLayer: pieceLayer, geometry: geometry)
      }
      let start = run.first.rawValue * geometry.blocksPerPiece
      let end = min(run.end * geometry.blocksPerPiece, leaves.count)
      return TreeHash.branch(
        of: slice, leaves: Array(leaves[start..<end]), of: run, pieceLayer: pieceLayer,
        geometry: geometry)
    }

    /// The whole layer, the slow way.
    func layer(_ layer: Int) -> [SHA256Digest] { TreeHash.fold(leaves, from: 0, to: layer) }
  }

  @Test func everyLayerOfRandomTrees() throws {
    var generator = SeededGenerator.announced("every layer of random trees")
    let random = (0..<8).map { _ in Int.random(in: 1...400, using: &generator) }
    for blockCount in [1, 2, 3, 4, 5, 8, 9, 64, 65] + random {
      let tree = try Tree(blockCount: blockCount, using: &generator)
      let shape = tree.geometry.tree
      for layer in 0...shape.height {
        let nodes = tree.layer(layer)
        for widthLog in 0...shape.height - layer + 1 {
          let width = 1 << widthLog
          let count = (nodes.count + width - 1) / width
          let first = Int.random(in: 0..<count, using: &generator) * width
          let slice = try #require(
            TreeSlice(shape: shape, layer: layer, first: first, width: width))
          let branch = try #require(tree.branch(slice))
          #expect(branch.nodes == Array(nodes[first..<first + slice.count]))
          #expect(branch.proof.count == slice.proofCount)
          #expect(
            TreeHash.verify(
              slice: slice, nodes: branch.nodes, proof: branch.proof, root: tree.root))
        }
      }
    }
  }

  /// Whatever single bit a liar turns, in the nodes, the proof or the root, it shows.
  @Test func everyFlippedBitIsRefused() throws {
    var generator = SeededGenerator.announced("flipped bits")
    let tree = try Tree(blockCount: 21, using: &generator)
    let shape = tree.geometry.tree
    for (layer, first, width) in [(0, 4, 2), (0, 20, 4), (2, 0, 8), (1, 10, 1), (5, 0, 1)] {
      let slice = try #require(TreeSlice(shape: shape, layer: layer, first: first, width: width))
      let branch = try #require(tree.branch(slice))
      let nodeCount = branch.nodes.count
      let all = branch.nodes + branch.proof + [tree.root]
      for index in all.indices {
        for bit in 0..<256 {
          var bytes = all[index].bytes
          bytes[bit / 8] ^= 1 << UInt8(bit % 8)
          var wrong = all
          wrong[index] = try #require(SHA256Digest(bytes: bytes))
          let accepted = TreeHash.verify(
            slice: slice, nodes: Array(wrong[..<nodeCount]),
            proof: Array(wrong[nodeCount..<all.count - 1]), root: wrong[all.count - 1])
          #expect(!accepted)
        }
      }
    }
  }

  @Test func wrongCountsAreRefused() throws {
    var generator = SeededGenerator.announced("wrong counts")
    let tree = try Tree(blockCount: 21, using: &generator)
    let slice = try #require(
      TreeSlice(shape: tree.geometry.tree, layer: 0, first: 4, width: 4))
    let branch = try #require(tree.branch(slice))
    let (nodes, proof) = (branch.nodes, branch.proof)
    func accepts(_ nodes: [SHA256Digest], _ proof: [SHA256Digest]) -> Bool {
      TreeHash.verify(slice: slice, nodes: nodes, proof: proof, root: tree.root)
    }
    #expect(accepts(nodes, proof))
    #expect(!accepts([], proof))
    #expect(!accepts(Array(nodes.dropLast()), proof))
    #expect(!accepts(nodes + [.zero], proof))
    #expect(!accepts(nodes, []))
    #expect(!accepts(nodes, Array(proof.dropLast())))
    #expect(!accepts(nodes, proof + [.zero]))
    // The right hashes under another place's name.
    let elsewhere = try #require(
      TreeSlice(shape: tree.geometry.tree, layer: 0, first: 8, width: 4))
    #expect(!TreeHash.verify(slice: elsewhere, nodes: nodes, proof: proof, root: tree.root))
  }

  @Test func leavesOfOtherPiecesAreNoAnswer() throws {
    var generator = SeededGenerator.announced("other pieces")
    let tree = try Tree(blockCount: 21, using: &generator)
    let slice = try #require(
      TreeSlice(shape: tree.geometry.tree, layer: 0, first: 4, width: 4))
    #expect(
      TreeHash.branch(of: slice, pieceLayer: tree.pieceLayer, geometry: tree.geometry) == nil)
    #expect(
      TreeHash.branch(
        of: slice, leaves: Array(tree.leaves[0..<4]), of: PieceRun(PieceIndex(0)),
        pieceLayer: tree.pieceLayer, geometry: tree.geometry) == nil)
  }
}
