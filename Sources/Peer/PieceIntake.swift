import Content
import Digests
import Reactor
import Storage
import Swarm
import Synchronization

/// What became of pieces all of whose bytes arrived.
struct IntakeResult: Sendable {
  enum Verdict: Sendable {
    /// They match the tree, are on disk and in the index.
    case verified
    /// Their bytes are not the package's.
    case rejected
    /// Their bytes may be right, but the cache could not take them.
    case notStored(StorageError)
  }

  let package: PackageID
  let request: RequestID
  /// Who sent all of them.
  let source: PeerID
  let run: PieceRun
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
  /// Memory of chunks that wait for the workers or the disk; above it, sockets are not read. Small
  /// enough that what waits stays in the processor's cache.
  static let waitingByteCountMax = 8 << 20

  let buffers = ChunkBufferPool()
  private let workers: WorkerPool
  private let news: Mailbox<IntakeNews>
  private let isRoomAwaited = Atomic<Bool>(false)
  private let waitingCount = Atomic<Int>(0)

  init(workers: WorkerPool, news: Mailbox<IntakeNews>) {
    self.workers = workers
    self.news = news
  }

  /// Chunks that are being filled do not count: who is not read from would never fill them.
  private var waitingByteCount: Int {
    waitingCount.load(ordering: .sequentiallyConsistent) * ChunkBuffer.byteCount
  }
  var isOverloaded: Bool { waitingByteCount > Self.waitingByteCountMax }
  var hasRoom: Bool { waitingByteCount <= Self.waitingByteCountMax / 2 }

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
    waitingCount.add(1, ordering: .sequentiallyConsistent)
    let isTaken = workers.submit { [self] in
      let bytes = UnsafeRawBufferPointer(rebasing: chunk.bytes[..<byteCount])
      assembly.take(bytes, at: offset) { [self] verdicts in
        giveBack(chunk)
        tellOfRoom()
        for (run, verdict) in verdicts {
          switch verdict {
          case .verified: record(run, of: assembly)
          case .rejected, .notStored: finish(run, of: assembly, verdict)
          }
        }
      }
    }
    if !isTaken { giveBack(chunk) }
  }

  private func giveBack(_ chunk: ChunkBuffer) {
    buffers.giveBack(chunk)
    waitingCount.subtract(1, ordering: .sequentiallyConsistent)
  }

  private func record(_ run: PieceRun, of assembly: PieceAssembly) {
    assembly.stored.commit(run) { [self] result in
      switch result {
      case .success: finish(run, of: assembly, .verified)
      case .failure(let error): finish(run, of: assembly, .notStored(error))
      }
    }
  }

  private func finish(
    _ run: PieceRun, of assembly: PieceAssembly, _ verdict: IntakeResult.Verdict
  ) {
    news.post(
      .decided(
        IntakeResult(
          package: assembly.stored.id, request: assembly.request, source: assembly.source,
          run: run, verdict: verdict)))
  }
}

/// Pieces being received by one request: one piece, in as many chunks as it takes, or several that
/// are one chunk together. Chunks may be taken by several workers in any order.
final class PieceAssembly: Sendable {
  typealias Verdicts = [(run: PieceRun, verdict: IntakeResult.Verdict)]

  private struct State {
    var leaves: [SHA256Digest?]
    var missingCount: Int
    var failure: StorageError?
  }

  let stored: StoredPackage
  let request: RequestID
  let source: PeerID
  let run: PieceRun
  let range: ByteRange
  private let state: Mutex<State>

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
    let complete = state.withLock { state -> State? in
      if state.leaves.isEmpty {
        state.leaves = Array(repeating: nil, count: state.missingCount)
      }
      for (index, leaf) in leaves.enumerated() { state.leaves[first + index] = leaf }
      state.missingCount -= leaves.count
      state.failure = state.failure ?? failure
      return state.missingCount == 0 ? state : nil
    }
    guard let complete else { return nil }
    if let failure = complete.failure { return .notStored(failure) }
    return matches(complete.leaves.compactMap { $0 }[...], run.first) ? .verified : discard()
  }

  private func matches(_ leaves: ArraySlice<SHA256Digest>, _ piece: PieceIndex) -> Bool {
    TreeHash.pieceRoot(leaves: Array(leaves), ofPiece: piece, geometry: stored.geometry)
      == stored.pieceLayer[piece.rawValue]
  }

  private func discard() -> IntakeResult.Verdict {
    do {
      try stored.remove(run)
      return .rejected
    } catch {
      return .notStored(error)
    }
  }
}
