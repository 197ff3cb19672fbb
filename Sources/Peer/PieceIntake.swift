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
  /// Of a piece whose blocks are verified one by one: so many from its first on.
  case grew(PackageID, PieceIndex, provenBlockCount: Int)
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
      conclude(assembly, verdict)
    }
    if !isTaken { buffers.giveBack(chunk) }
  }

  /// From now on the blocks of the piece are verified one by one; `leaves` lead to its root.
  func expect(_ leaves: [SHA256Digest], of assembly: PieceAssembly) {
    workers.submit { [self] in conclude(assembly, assembly.expect(leaves)) }
  }

  private func conclude(_ assembly: PieceAssembly, _ verdict: IntakeResult.Verdict?) {
    switch verdict {
    case nil:
      let count = assembly.provenBlockCount
      guard count > 0 else { break }
      news.post(.grew(assembly.stored.id, assembly.piece, provenBlockCount: count))
    case .verified: record(assembly)
    case .rejected, .notStored: finish(assembly, verdict ?? .rejected)
    }
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
