/// What a machine of the swarm costs beside its links: when its loop comes to what has happened, and
/// when what it received counts as held. Each default is a named constant of the real node, or was
/// measured as said.
package struct MachineModel: Hashable, Sendable {
  // MARK: The loop

  /// How often a node looks at its pace (`CrowdPace`, `Node.sweepInterval`): in its first second it
  /// has none.
  package var paceInterval: Duration = .seconds(1)
  /// What both ends take for a request or an announce and its answer. Measured: 16 KiB over loopback,
  /// one request at a time on a kept connection.
  package var answerTime: Duration = .microseconds(90)

  // MARK: Pieces

  /// From the last byte of a piece of 64 KiB to its being hashed and written; 0.8 to 1.1 ms under
  /// strace, of which writing is 0.4.
  package var verifyTime: Duration = .milliseconds(1)
  /// From one turn of the index's thread to the next (`PieceStore.gatheringTime`): pieces that come
  /// within it share a transaction, and count as held when that is over. After a quiet time the
  /// first is taken at once, and so is what completes a package.
  package var indexInterval: Duration = .milliseconds(50)
  /// One transaction of the index, under strace.
  package var indexTime: Duration = .microseconds(500)
  /// Bytes are checked and passed on by so many.
  package var chunkByteCount = 256 << 10
  /// Until a peer has the hashes of a piece's blocks, when somebody wants the piece from it before
  /// all of it has come.
  package var blockHashTime: Duration = .milliseconds(10)

  // MARK: The beginning

  /// From the start of the process to its first request: with an empty index, on an idle machine.
  package var startTime: Duration = .milliseconds(10)
  /// A peer asks for the manifest and the tree before it announces itself.
  package var openingRoundTripCount = 3

  package init() {}
}
