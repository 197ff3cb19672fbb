import Content
import Digests
import Testing

@Suite struct PackageHasherTests {
  /// However the bytes are cut, and whichever way they are hashed, the digests are the same.
  @Test func anyPartsGiveTheSameDigests() throws {
    var generator = SeededGenerator.announced("parts of a package")
    var woven = PackageHasher()
    var streamed = PackageHasher(kernel: .portable)
    for byteCount in [0, 1, 63, 64, 65, 16_384, 16_385, 65_536, 65_600, 70_000, 200_001] {
      let bytes = generator.bytes(byteCount)
      let geometry = try #require(Geometry(byteCount: byteCount))
      let leaves = bytes.withUnsafeBytes { TreeHash.leaves(of: $0) }
      let pieceLayer = TreeHash.pieceLayer(leaves: leaves, geometry: geometry)
      for partMax in [1 << 20, 20_000, 100] {
        bytes.withUnsafeBytes { bytes in
          var rest = bytes[...]
          while !rest.isEmpty {
            let part = rest.prefix(Int.random(in: 0...partMax, using: &generator))
            woven.update(UnsafeRawBufferPointer(rebasing: part))
            streamed.update(UnsafeRawBufferPointer(rebasing: part))
            rest = rest.dropFirst(part.count)
          }
        }
        let (one, other) = (woven.finish(), streamed.finish())
        let first = try #require(one)
        let second = try #require(other)
        #expect(first == second)
        #expect(first.geometry == geometry)
        #expect(first.sha256 == SHA256Digest(hashing: bytes))
        #expect(first.pieceLayer == pieceLayer)
        #expect(first.id.root == TreeHash.root(pieceLayer: pieceLayer, geometry: geometry))
      }
    }
  }
}
