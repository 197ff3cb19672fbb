package import Content
import Digests
package import Posix

/// Hashes pieces of a file that is there.
package enum PieceReader {
  /// Bytes hashed at a time: blocks for all lanes, small enough to stay in the cache.
  private static let chunkByteCount = 64 * Geometry.blockByteCount

  /// The leaves of one piece, in order. Throws when the file cannot be read; a file that ends early
  /// gives fewer bytes and so other leaves.
  package static func leaves(
    of piece: PieceIndex, geometry: Geometry, in file: OpenFile
  ) throws(SystemError) -> [SHA256Digest] {
    let range = geometry.byteRange(of: piece)
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(chunkByteCount, range.count), alignment: 4096)
    defer { buffer.deallocate() }
    var leaves: [SHA256Digest] = []
    var offset = range.offset
    while offset < range.end {
      let wanted = min(buffer.count, range.end - offset)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
      let count = try file.read(into: part, at: offset)
      // What a file that was cut short lacks counts as zeros: the leaves then match nothing.
      part[count...].initializeMemory(as: UInt8.self, repeating: 0)
      leaves += TreeHash.leaves(of: UnsafeRawBufferPointer(part))
      offset += wanted
    }
    return leaves
  }

  /// Those of `pieces` whose bytes in `file` match the piece layer.
  static func matching(
    _ pieces: PieceSet, of pieceLayer: [SHA256Digest], geometry: Geometry, in file: OpenFile
  ) throws(SystemError) -> PieceSet {
    var matching = PieceSet(pieceCount: pieces.pieceCount)
    var next = pieces.first(from: 0)
    while let piece = next {
      let leaves = try leaves(of: piece, geometry: geometry, in: file)
      if TreeHash.pieceRoot(leaves: leaves, ofPiece: piece, geometry: geometry)
        == pieceLayer[piece.rawValue]
      {
        matching.insert(piece)
      }
      next = pieces.first(from: piece.rawValue + 1)
    }
    return matching
  }
}
