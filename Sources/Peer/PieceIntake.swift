import Content
import Digests
import Reactor
import Storage
import Swarm
import Synchronization

/// What became of a piece all of whose bytes arrived.
struct IntakeResult: Sendable {
  enum Verdict: Sendable {
    /// It matches the tree, is on disk and in the index.
    case verified
    /// Its bytes are not the package's.
    case rejected
    /// Its bytes may be right, but the cache could not take them.
    case notStored(StorageError)
  }

  let package: PackageID
  let request: RequestID
  /// Who sent all of it.
  let source: PeerID
  let piece: PieceIndex
  let verdict: Verdict
}

/// What the intake tells the loop.
enum IntakeNews: Sendable {
  case decided(IntakeResult)
  /// Sockets may be read again.
  case hasRoom
}

/// From received bytes to verified pieces: workers hash chunks while they are still in the
/// processor's cache, write them, and have the index record the piece; the loop hears of it through
/// its mailbox.
final class PieceIntake: Sendable {
  /// Received bytes that wait for the workers or the disk; above it, sockets are not read.
  static let waitingByteCountMax = 24 << 20

  let buffers = ChunkBufferPool()
  private let workers: WorkerPool
  private let news: Mailbox<IntakeNews>
  private let isRoomAwaited = Atomic<Bool>(false)

  init(workers: WorkerPool, news: Mailbox<IntakeNews>) {
    self.workers = workers
    self.news = news
  }

  var isOverloaded: Bool { buffers.byteCountOut > Self.waitingByteCountMax }
  var hasRoom: Bool { buffers.byteCountOut <= Self.waitingByteCountMax / 2 }

  /// Has the loop told as soon as there is room. The verdicts would say so later: pieces gather
  /// before the index takes them, and the workers would be through with everything by then.
  func awaitRoom() {
    isRoomAwaited.store(true, ordering: .sequentiallyConsistent)
    tellOfRoom()
  }

  private func tellOfRoom() {
    guard isRoomAwaited.load(ordering: .sequentiallyConsistent), hasRoom,
      isRoomAwaited.exchange(false, ordering: .sequentiallyConsistent)
    else { return }
    news.post(.hasRoom)
  }

  /// Takes the bytes `0..<byteCount` of `chunk`, which lie at `offset` of the package.
  func submit(_ chunk: ChunkBuffer, byteCount: Int, at offset: Int, of assembly: PieceAssembly) {
    let isTaken = workers.submit { [self] in
      let bytes = UnsafeRawBufferPointer(rebasing: chunk.bytes[..<byteCount])
      let verdict = assembly.take(bytes, at: offset)
      buffers.giveBack(chunk)
      tellOfRoom()
      switch verdict {
      case nil: break
      case .verified: record(assembly)
      case .rejected, .notStored: finish(assembly, verdict ?? .rejected)
      }
    }
    if !isTaken { buffers.giveBack(chunk) }
  }

  private func record(_ assembly: PieceAssembly) {
    assembly.stored.commit(PieceRun(assembly.piece)) { [self] result in
      switch result {
      case .success: finish(assembly, .verified)
      case .failure(let error): finish(assembly, .notStored(error))
      }
    }
  }

  private func finish(_ assembly: PieceAssembly, _ verdict: IntakeResult.Verdict) {
    news.post(
      .decided(
        IntakeResult(
          package: assembly.stored.id, request: assembly.request, source: assembly.source,
          piece: assembly.piece, verdict: verdict)))
  }
}

/// One piece being received by one request: the leaves of the chunks so far. Chunks may be taken by
/// several workers in any order.
final class PieceAssembly: Sendable {
  private struct State {
    var leaves: [SHA256Digest?]
    var missingCount: Int
    var failure: StorageError?
  }

  let stored: StoredPackage
  let request: RequestID
  let source: PeerID
  let piece: PieceIndex
  private let range: ByteRange
  private let state: Mutex<State>

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
    let failure = write(bytes, at: offset)
    let first = (offset - range.offset) / Geometry.blockByteCount
    let complete = state.withLock { state -> State? in
      for (index, leaf) in leaves.enumerated() { state.leaves[first + index] = leaf }
      state.missingCount -= leaves.count
      state.failure = state.failure ?? failure
      return state.missingCount == 0 ? state : nil
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

  private func discard() -> IntakeResult.Verdict {
    do {
      try stored.remove(PieceRun(piece))
      return .rejected
    } catch {
      return .notStored(error)
    }
  }
}
