import Content
import Digests
import Storage
import Swarm
import Synchronization

/// Pieces being received by one request: one piece, in as many chunks as it takes, or several that
/// are one chunk together. Chunks may be taken by several workers in any order.
final class PieceAssembly: Sendable {
  typealias Verdicts = [(run: PieceRun, verdict: IntakeResult.Verdict)]

  struct State {
    var leaves: [SHA256Digest?]
    var missingCount: Int
    var failure: StorageError?
    /// The leaves as they should be, when somebody wants blocks before the piece is whole.
    var expected: [SHA256Digest]?
    /// Blocks from the first on that are written and as expected.
    var provenCount = 0
    /// A block was wrong: the rest is of no use.
    var isOver = false
  }

  let stored: StoredPackage
  let request: RequestID
  let source: PeerID
  let run: PieceRun
  let range: ByteRange
  let state: Mutex<State>

  init(
    of run: PieceRun, into stored: StoredPackage, for request: RequestID, from source: PeerID
  ) {
    self.stored = stored
    self.request = request
    self.source = source
    self.run = run
    range = stored.geometry.byteRange(of: run)
    let count = (range.count + Geometry.blockByteCount - 1) / Geometry.blockByteCount
    state = Mutex(State(leaves: [], missingCount: count))
  }

  /// Hashes and writes one chunk. `then` is told on whatever thread wrote it, with verdicts when it
  /// was the last; until then the bytes stay as they are.
  func take(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, then: @escaping @Sendable (Verdicts) -> Void
  ) {
    let leaves = TreeHash.leaves(of: bytes)
    guard bytes.count == range.count else {
      switch judge(leaves, at: (offset - range.offset) / Geometry.blockByteCount) {
      case .right: break
      case .wrong: return then([(run, discard())])
      case .tooLate: return then([])
      }
      return stored.write(bytes, at: offset) { [self] failure in
        then(written(leaves, at: offset, failure).map { [(run, $0)] } ?? [])
      }
    }
    // Pieces that came in one chunk are never written unless they are right.
    let wrong = wrongPieces(leaves)
    guard wrong.isEmpty else { return then(sorted(bytes, wrong)) }
    stored.write(bytes, at: offset) { [run] failure in
      then([(run, failure.map { .notStored($0) } ?? .verified)])
    }
  }

  private func wrongPieces(_ leaves: [SHA256Digest]) -> [PieceIndex] {
    guard run.count > 1 else { return matches(leaves[...], run.first) ? [] : [run.first] }
    let pieceLeafCount = stored.geometry.blocksPerPiece
    return run.pieces.filter { piece in
      let start = (piece.rawValue - run.first.rawValue) * pieceLeafCount
      return !matches(leaves[start..<min(start + pieceLeafCount, leaves.count)], piece)
    }
  }

  /// Keeps the right ones of several pieces.
  private func sorted(_ bytes: UnsafeRawBufferPointer, _ wrong: [PieceIndex]) -> Verdicts {
    run.pieces.map { piece in
      if wrong.contains(piece) { return (PieceRun(piece), .rejected) }
      let part = stored.geometry.byteRange(of: piece)
      let start = part.offset - range.offset
      do throws(StorageError) {
        try stored.write(
          UnsafeRawBufferPointer(rebasing: bytes[start..<start + part.count]), at: part.offset)
        return (PieceRun(piece), .verified)
      } catch {
        return (PieceRun(piece), .notStored(error))
      }
    }
  }

  /// A part of one piece is on the disk, or failed to be.
  private func written(
    _ leaves: [SHA256Digest], at offset: Int, _ failure: StorageError?
  ) -> IntakeResult.Verdict? {
    let first = (offset - range.offset) / Geometry.blockByteCount
    var isFirstWrong = false
    let complete = state.withLock { state -> State? in
      if state.leaves.isEmpty {
        state.leaves = Array(repeating: nil, count: state.missingCount)
      }
      for (index, leaf) in leaves.enumerated() { state.leaves[first + index] = leaf }
      state.missingCount -= leaves.count
      state.failure = state.failure ?? failure
      // They may have been told while these bytes were being written.
      if let expected = state.expected, !state.isOver,
        !leaves.elementsEqual(expected[first..<first + leaves.count])
      {
        state.isOver = true
        isFirstWrong = true
      }
      state.countProven()
      return state.missingCount == 0 && !state.isOver ? state : nil
    }
    if isFirstWrong { return discard() }
    guard let complete else { return nil }
    if let failure = complete.failure { return .notStored(failure) }
    return matches(complete.leaves.compactMap { $0 }[...], run.first) ? .verified : discard()
  }

  /// Whether these are the leaves of that piece.
  func matches(_ leaves: ArraySlice<SHA256Digest>, _ piece: PieceIndex) -> Bool {
    TreeHash.pieceRoot(leaves: Array(leaves), ofPiece: piece, geometry: stored.geometry)
      == stored.pieceLayer[piece.rawValue]
  }

  func discard() -> IntakeResult.Verdict {
    do {
      try stored.remove(run)
      return .rejected
    } catch {
      return .notStored(error)
    }
  }
}
