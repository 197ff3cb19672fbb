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
  /// Of a piece whose blocks are verified one by one: so many from its first on.
  case grew(PackageID, PieceIndex, provenBlockCount: Int)
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
        conclude(assembly, verdicts)
      }
    }
    if !isTaken { giveBack(chunk) }
  }

  private func giveBack(_ chunk: ChunkBuffer) {
    buffers.giveBack(chunk)
    waitingCount.subtract(1, ordering: .sequentiallyConsistent)
  }

  /// From now on the blocks of the piece are verified one by one; `leaves` lead to its root.
  func expect(_ leaves: [SHA256Digest], of assembly: PieceAssembly) {
    workers.submit { [self] in
      conclude(assembly, assembly.expect(leaves).map { [(assembly.run, $0)] } ?? [])
    }
  }

  private func conclude(_ assembly: PieceAssembly, _ verdicts: PieceAssembly.Verdicts) {
    for (run, verdict) in verdicts {
      switch verdict {
      case .verified: record(run, of: assembly)
      case .rejected, .notStored: finish(run, of: assembly, verdict)
      }
    }
    let count = verdicts.isEmpty ? assembly.provenBlockCount : 0
    guard count > 0 else { return }
    news.post(.grew(assembly.stored.id, assembly.run.first, provenBlockCount: count))
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
