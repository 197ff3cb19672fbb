import Content
import Digests
import Storage
import Swarm
import Synchronization

/// One piece being received by one request: the leaves of the chunks so far. Chunks may be taken by
/// several workers in any order.
final class PieceAssembly: Sendable {
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
  let piece: PieceIndex
  private let range: ByteRange
  let state: Mutex<State>

  init(
    of piece: PieceIndex, into stored: StoredPackage, for request: RequestID, from source: PeerID
  ) {
    self.stored = stored
    self.request = request
    self.source = source
    self.piece = piece
    range = stored.geometry.byteRange(of: piece)
    let count = (range.count + Geometry.blockByteCount - 1) / Geometry.blockByteCount
    state = Mutex(State(leaves: Array(repeating: nil, count: count), missingCount: count))
  }

  /// Hashes and writes one chunk; a verdict when it was the last.
  func take(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> IntakeResult.Verdict? {
    let leaves = TreeHash.leaves(of: bytes)
    let isWhole = bytes.count == range.count
    // A piece that came in one chunk is never written unless it is right.
    if isWhole, !matches(leaves) { return .rejected }
    let first = (offset - range.offset) / Geometry.blockByteCount
    switch judge(leaves, at: first) {
    case .right: break
    case .wrong: return discard()
    case .tooLate: return nil
    }
    let failure = write(bytes, at: offset)
    let complete = state.withLock { state -> State? in
      for (index, leaf) in leaves.enumerated() { state.leaves[first + index] = leaf }
      state.missingCount -= leaves.count
      state.failure = state.failure ?? failure
      state.countProven()
      return state.missingCount == 0 && !state.isOver ? state : nil
    }
    guard let complete else { return nil }
    if let failure = complete.failure { return .notStored(failure) }
    if isWhole || matches(complete.leaves.compactMap { $0 }) { return .verified }
    return discard()
  }

  private func matches(_ leaves: [SHA256Digest]) -> Bool {
    TreeHash.pieceRoot(leaves: leaves, ofPiece: piece, geometry: stored.geometry)
      == stored.pieceLayer[piece.rawValue]
  }

  private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> StorageError? {
    do {
      try stored.write(bytes, at: offset)
      return nil
    } catch {
      return error
    }
  }

  func discard() -> IntakeResult.Verdict {
    do {
      try stored.remove(PieceRun(piece))
      return .rejected
    } catch {
      return .notStored(error)
    }
  }
}
