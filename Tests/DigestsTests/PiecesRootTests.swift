import Content
import Digests
import Testing

/// Roots that libtorrent 2.0.8 gives for the same bytes; `Tests/Vectors/pieces-root.py` makes them.
///
/// libtorrent gives an empty file no `pieces root` at all, as BEP 52 says; ours is 32 zero bytes.
@Suite struct PiecesRootTests {
  struct Vector: Sendable {
    let byteCount: Int
    let root: String
    /// SHA-256 of the piece layer at 64 KiB, nil where the file has one piece and so no layer.
    let pieceLayer: String?
    let sha256, md5: String
  }

  static let vectors = [
    Vector(
      byteCount: 0, root: String(repeating: "0", count: 64), pieceLayer: nil,
      sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      md5: "d41d8cd98f00b204e9800998ecf8427e"),
    Vector(
      byteCount: 1,
      root: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      pieceLayer: nil,
      sha256: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      md5: "93b885adfe0da089cdf634904fd59f71"),
    Vector(
      byteCount: 16_383,
      root: "095da957d179a83905896a0e30dc0ef31ecb8c3e796d899ab647fe6eb42bc5ea",
      pieceLayer: nil,
      sha256: "095da957d179a83905896a0e30dc0ef31ecb8c3e796d899ab647fe6eb42bc5ea",
      md5: "46c1a1c5553ff5577f01c14b4cceefea"),
    Vector(
      byteCount: 16_384,
      root: "127c52d4afc9d4e335b94d914f75fbf75b5dc62e6dbd31c6d71c868fc23e5fe5",
      pieceLayer: nil,
      sha256: "127c52d4afc9d4e335b94d914f75fbf75b5dc62e6dbd31c6d71c868fc23e5fe5",
      md5: "28f1cde8710334b16584cf86a36b5d86"),
    Vector(
      byteCount: 16_385,
      root: "ed50aa6f263172ac5097e54684d484dd9036bae3d7c729b4ede1bd2a125514fe",
      pieceLayer: nil,
      sha256: "75af57a876770b59778588c1295c025b7bf42828ee8544bb923062c49c6e9460",
      md5: "df3e7a2973e4f809ba15d6d0960592f2"),
    Vector(
      byteCount: 65_536,
      root: "ff68aebb48bc3e3dbd4763ff1c4568ad183e0a3777f6c3395cb9fcf15f561d8e",
      pieceLayer: nil,
      sha256: "cf879873c2b3b0dff2d71b17cd14e346f9c3613bba0d29785c216da254ebe3ca",
      md5: "39b7f45ad5e0887a775309e292a4df53"),
    Vector(
      byteCount: 65_537,
      root: "08516e119767c4e2d0184d5855159b4e415f53bf030a19564b35c7625a99f241",
      pieceLayer: "08516e119767c4e2d0184d5855159b4e415f53bf030a19564b35c7625a99f241",
      sha256: "79eddc7881df52c7245e158b0cd4428cbe273a1e756eae274fb5106dbcb4b179",
      md5: "2ca647284eb3115d8d328ee4c4f4eca8"),
    Vector(
      byteCount: 1_048_576,
      root: "e7110c5da27f597fbb7e037af66ae3b646c00006f38fd7cae1120b2877a5b14a",
      pieceLayer: "f1b54f5cb1c31d2542342bfbabd4ce044c19d33c6986afe7a5d77c97dd475ef9",
      sha256: "0619a17b2a17af16d1d340aa340ba6bdb1760f857445b601b3a50bddde82d344",
      md5: "30d312898953e63429b0456b8f04a99f"),
    Vector(
      byteCount: 104_857_601,
      root: "bdb8659cc88551911a484714354f1d3b1935a8e5a60caaaddebb67a537de173a",
      pieceLayer: "f9f24a0bb24b24d7fe288f99c3a9cebe08e74e4ff2102c51c4f20a9e13b884ce",
      sha256: "46fadd81ef95321fde861cd6f9ae697a2bd55d89e5b07a0cb97421a876ab2a80",
      md5: "be0a9778d1f0746d2c94149c9c0577e2"),
  ]

  @Test(arguments: vectors.indices) func matchesLibtorrent(_ index: Int) throws {
    let vector = Self.vectors[index]
    var hasher = PackageHasher()
    var done = 0
    while done < vector.byteCount {
      let bytes = SampleBytes.bytes(min(1 << 20, vector.byteCount - done), at: done)
      bytes.withUnsafeBytes { hasher.update($0) }
      done += bytes.count
    }
    let finished = hasher.finish()
    let digests = try #require(finished)
    #expect(digests.id.hex == vector.root)
    #expect(digests.sha256.hex == vector.sha256)
    #expect(digests.md5.hex == vector.md5)
    #expect(digests.geometry.byteCount == vector.byteCount)
    #expect(digests.geometry.pieceByteCount == 64 * 1024)
    #expect(digests.pieceLayer.count == digests.geometry.pieceCount)
    if let pieceLayer = vector.pieceLayer {
      let layer = digests.pieceLayer.flatMap(\.bytes)
      #expect(SHA256Digest(hashing: layer).hex == pieceLayer)
    }
  }

  /// The same tree put together from leaves, as a whole and piece by piece.
  @Test(arguments: vectors.indices.dropLast()) func leavesLeadToTheSameRoot(_ index: Int) throws {
    let vector = Self.vectors[index]
    let geometry = try #require(Geometry(byteCount: vector.byteCount))
    let bytes = SampleBytes.bytes(vector.byteCount)
    let leaves = bytes.withUnsafeBytes { TreeHash.leaves(of: $0) }
    let pieceLayer = TreeHash.pieceLayer(leaves: leaves, geometry: geometry)
    #expect(TreeHash.root(pieceLayer: pieceLayer, geometry: geometry).hex == vector.root)
    for (index, root) in pieceLayer.enumerated() {
      let piece = PieceIndex(index)
      let range = geometry.byteRange(of: piece)
      let own = bytes[range.offset..<range.end].withUnsafeBytes { TreeHash.leaves(of: $0) }
      #expect(TreeHash.pieceRoot(leaves: own, ofPiece: piece, geometry: geometry) == root)
    }
  }

  @Test func paddingIsTheTreeOfZeroLeaves() {
    #expect(TreeHash.padding(layer: 0) == .zero)
    for layer in 1...20 {
      let below = TreeHash.padding(layer: layer - 1)
      #expect(TreeHash.padding(layer: layer) == SHA256Digest(hashing: below.bytes + below.bytes))
    }
  }
}
