package import Content

/// The look-up table in numbers, for people and gauges.
package struct TrackerSnapshot: Hashable, Sendable {
  package var peerCount = 0
  package var suspendedPeerCount = 0
  package var announceCount: UInt64 = 0
  package var complaintCount: UInt64 = 0
  /// Times the origin asked a peer that others complained of.
  package var checkCount: UInt64 = 0
  /// Ascending by id.
  package var packages: [PackageSnapshot] = []
}

package struct PackageSnapshot: Hashable, Sendable {
  package var package: PackageID
  package var pieceCount = 0
  package var memberCount = 0
  /// Members that hold everything.
  package var seedCount = 0
  /// Pieces that at least one serving member holds.
  package var heldPieceCount = 0
  /// Pieces leased and not yet reported as held.
  package var leasedPieceCount = 0
  /// Bytes of this package the origin was reported to have sent.
  package var originByteCount = 0
  /// The same in copies of the package.
  package var originCopies = 0.0
  package var announceCount: UInt64 = 0
}
