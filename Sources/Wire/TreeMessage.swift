package import Content

/// What `GET /-/tree/ID` asks for in its query: `layer=2&first=0&width=64`.
package struct TreeQuery: Hashable, Sendable {
  package let layer: Int
  package let first: Int
  package let width: Int

  package init(_ slice: TreeSlice) {
    layer = slice.layer
    first = slice.first
    width = 1 << (slice.apexLayer - slice.layer)
  }

  /// Reads the query in `range` of `bytes`. All three are there, once each, in plain digits; items of
  /// other names are left alone.
  package init(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(WireError) {
    let items = try QueryItem.parse(bytes, range)
    layer = try Self.number("layer", in: items)
    first = try Self.number("first", in: items)
    width = try Self.number("width", in: items)
  }

  package var text: String { "layer=\(layer)&first=\(first)&width=\(width)" }

  /// Nil when the tree has no such slice.
  package func slice(of shape: TreeShape) -> TreeSlice? {
    TreeSlice(shape: shape, layer: layer, first: first, width: width)
  }

  private static func number(_ name: String, in items: [QueryItem]) throws(WireError) -> Int {
    let values = items.filter { $0.name == name }
    guard values.count == 1 else { throw WireError(.badRequest, "the query needs one \(name)") }
    let bytes = Array(values[0].value.utf8)
    guard let number = Grammar.decimal(bytes.span, 0..<bytes.count) else {
      throw WireError(.badRequest, "\(name) is not a number")
    }
    return number
  }
}

/// Nodes of one layer and the proof that leads from them to the root. `Docs/PROTOCOL.md` has the
/// layout.
package struct TreeMessage: Hashable, Sendable {
  package let slice: TreeSlice
  package let nodes: [SHA256Digest]
  package let proof: [SHA256Digest]

  /// As many nodes and proof hashes as `slice` says.
  package init(slice: TreeSlice, nodes: [SHA256Digest], proof: [SHA256Digest]) {
    precondition(
      nodes.count == slice.count && proof.count == slice.proofCount, "the hashes fit the slice")
    self.slice = slice
    self.nodes = nodes
    self.proof = proof
  }

  /// Of the largest message: every node of a piece layer, and a proof for the highest tree.
  package static let byteCountMax =
    64 + (TreeSlice.nodeCountMax + 64) * SHA256Digest.byteCount

  package func encode() -> [UInt8] {
    var writer = MessageWriter(.tree)
    writer.number(slice.shape.leafCount)
    writer.number(slice.layer)
    writer.number(slice.first)
    writer.number(nodes.count)
    writer.number(proof.count)
    for digest in nodes { writer.digest(digest) }
    for digest in proof { writer.digest(digest) }
    return writer.bytes
  }

  /// Reads the answer to a request for `slice`, and refuses an answer to anything else. The hashes
  /// are still to be verified.
  package static func decode(
    _ bytes: Span<UInt8>, for slice: TreeSlice
  ) throws(WireError) -> TreeMessage {
    var reader = try MessageReader(.tree, bytes, fault: .badGateway)
    let expected = [
      slice.shape.leafCount, slice.layer, slice.first, slice.count, slice.proofCount,
    ]
    for value in expected {
      guard try reader.number(bytes) == value else {
        throw reader.refusal("an answer for another part of the tree")
      }
    }
    let byteCount = (slice.count + slice.proofCount) * SHA256Digest.byteCount
    guard reader.remaining(bytes) == byteCount else {
      throw reader.refusal("the message is cut short or too long")
    }
    var nodes: [SHA256Digest] = []
    nodes.reserveCapacity(slice.count)
    for _ in 0..<slice.count { nodes.append(try reader.digest(bytes)) }
    var proof: [SHA256Digest] = []
    proof.reserveCapacity(slice.proofCount)
    for _ in 0..<slice.proofCount { proof.append(try reader.digest(bytes)) }
    return TreeMessage(slice: slice, nodes: nodes, proof: proof)
  }
}
