/// What came of a scenario.
package struct SimulationReport: Hashable, Sendable {
  package var peerCount = 0
  /// Honest peers that were to finish, and those that did.
  package var expectedCount = 0
  package var completedCount = 0
  /// max(S/u_origin, S/d_min, N·S/(u_origin+Σu)) (Kumar and Ross, "Peer-assisted file
  /// distribution: the minimum distribution time", 2006), seconds.
  package var fluidBound = 0.0
  /// Time from the peer's arrival to its last verified piece, seconds.
  package var medianTime = 0.0
  package var lastTime = 0.0
  /// The same in fluid bounds.
  package var medianStretch = 0.0
  package var lastStretch = 0.0
  /// Bytes the origin sent, in copies of the package.
  package var originCopies = 0.0
  /// Bytes peers sent to each other, in copies.
  package var peerCopies = 0.0
  package var rejectedPieceCount = 0
  package var refusedRequestCount = 0
  package var announceCount = 0
  /// Steps of all downloads.
  package var decisionCount = 0
  package var virtualTime: Duration = .zero
  /// Broken invariants; empty in a good run.
  package var violations: [String] = []
  /// FNV-1a over every decision in order.
  package var traceHash: UInt64 = 0

  package init() {}
}
