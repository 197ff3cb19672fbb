import Content

/// Verified bytes by where they came from.
struct TransferTally: Equatable, Sendable {
  private(set) var fromOriginByteCount = 0
  private(set) var fromPeersByteCount = 0
  var byteCount: Int { fromOriginByteCount + fromPeersByteCount }
  var rejectedPieceCount = 0

  mutating func add(byteCount: Int, from source: PeerID) {
    if source.isOrigin {
      fromOriginByteCount += byteCount
    } else {
      fromPeersByteCount += byteCount
    }
  }
}
