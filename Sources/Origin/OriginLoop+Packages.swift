import Content
import HTTP
import Logging
import Operations
import Posix
import Reactor
import Storage
import Swarm
import Synchronization
import Wire

/// Packages by id: what peers fetch.
extension OriginLoop {
  func servePackage(
    _ name: Range<Int>, _ head: RequestHead, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    metrics.count(.package)
    let key = bytes.extracting(head.path)
    do throws(WireError) {
      let peer = try head.peer(in: bytes)
      if let file = currentPackage(key) {
        return sendPackage(file, to: peer, head, bytes, connection)
      }
      guard let id = packageID(bytes, name, connection) else { return }
      guard let found = state.catalogue.package(id) else {
        return connection.respondText(.notFound, "no such package")
      }
      let file = CachedFile(
        key: key.withUnsafeBufferPointer { Array($0) }, path: found.path, file: found.file,
        status: found.entry.status, entry: found.entry, now: loop.now)
      cache.insert(file)
      sendPackage(file, to: peer, head, bytes, connection)
    } catch {
      refuse(error, connection)
    }
  }

  /// The bytes a package's id means stay the same for as long as the open file does, whatever becomes
  /// of its name.
  private func currentPackage(_ key: Span<UInt8>) -> CachedFile? {
    guard let file = cache.file(named: key), let entry = file.entry else { return nil }
    if loop.now - file.checked < FileCache.trustDuration { return file }
    do {
      if entry.describes(try file.file.status()) {
        file.checked = loop.now
        return file
      }
    } catch {
      log.warning("cannot look at", metadata: ["path": "\(file.path)", "reason": "\(error)"])
    }
    cache.remove(file)
    return nil
  }

  private func sendPackage(
    _ file: CachedFile, to peer: PeerID?, _ head: RequestHead, _ bytes: Span<UInt8>,
    _ connection: ServerConnection
  ) {
    guard let geometry = file.entry?.manifest.geometry, let id = file.entry?.id else { return }
    let plan = ContentPlan(head, bytes: bytes, for: file.representation)
    let isContent = head.method == .get
    let upload = Upload(self, id, geometry, isContent ? plan : .notModified, to: peer)
    if let peer {
      note(peer, on: connection)
      guard mayStart(upload, to: peer) else { return refuseBeyondBudget(connection) }
    }
    state.activeUploads.add(1, ordering: .relaxed)
    upload.connection = connection
    // At a set rate the pauses are the origin's own.
    if peer != nil, upload.range != nil, state.pace == nil { watch(upload) }
    sendContent(plan, of: file, head, to: peer, observer: upload, connection)
  }

  private func mayStart(_ upload: Upload, to peer: PeerID) -> Bool {
    guard let range = upload.range else { return true }
    let (id, run, now) = (upload.id, upload.geometry.run(covering: range), loop.now)
    return state.tracker.withLock {
      $0.originStarts(run, of: id, to: peer, byteCount: range.count, now: now)
    }
  }

  /// What became of an upload: the tracker learns which pieces are out, and how fast they went.
  func ended(_ upload: Upload, sentByteCount: Int, isComplete: Bool) {
    state.activeUploads.subtract(1, ordering: .relaxed)
    uploads[ObjectIdentifier(upload)] = nil
    state.metrics.packageBytes.add(sentByteCount)
    guard let range = upload.range else { return }
    let now = loop.now
    let geometry = upload.geometry
    let sent = ByteRange(offset: range.offset, count: min(sentByteCount, range.count))
    let whole = isComplete ? geometry.run(covering: range) : sent.flatMap(geometry.run(inside:))
    let wholeByteCount =
      isComplete ? range.count : whole.map { geometry.byteRange(of: $0).count } ?? 0
    let covering = geometry.run(covering: range)
    let restStart = whole?.end ?? covering.first.rawValue
    state.tracker.withLock { tracker in
      if let whole {
        tracker.originSent(
          whole, of: upload.id, to: upload.peer, byteCount: wholeByteCount,
          isComplete: true, now: now)
      }
      if !isComplete, restStart < covering.end {
        tracker.originSent(
          PieceRun(first: PieceIndex(restStart), count: covering.end - restStart),
          of: upload.id, to: upload.peer, byteCount: max(0, sentByteCount - wholeByteCount),
          unsentByteCount: max(0, range.count - sentByteCount), isComplete: false, now: now)
      }
    }
  }
}

/// A response with package bytes while it leaves.
final class Upload: ResponseObserver {
  let id: PackageID
  let geometry: Geometry
  /// Nil when nothing of the package is sent, or several ranges at once, which no peer asks for.
  let range: ByteRange?
  let peer: PeerID?
  weak var connection: ServerConnection?
  private unowned let owner: OriginLoop
  // What is seen of its progress.
  private let started: Instant
  private var queuedByteCount = Int.max
  private var progressed: Instant
  private var isStalled = false

  init(
    _ owner: OriginLoop, _ id: PackageID, _ geometry: Geometry, _ plan: ContentPlan,
    to peer: PeerID?
  ) {
    self.owner = owner
    self.id = id
    self.geometry = geometry
    self.peer = peer
    started = owner.loop.now
    progressed = owner.loop.now
    range =
      switch plan {
      case .whole: ByteRange(offset: 0, count: geometry.byteCount)
      case .range(let range): range
      case .ranges, .notModified, .preconditionFailed, .unsatisfiable: nil
      }
  }

  func responseEnded(on connection: ServerConnection, sentByteCount: Int, isComplete: Bool) {
    owner.ended(self, sentByteCount: sentByteCount, isComplete: isComplete)
  }

  private static let stallTime = Duration.seconds(1)
  private static let stallTimeMax = Duration.seconds(10)
  /// What a kernel may take in one step.
  private static let stepByteCount = 256 << 10

  /// The pieces that are not through when nothing has moved for a second and four times what the
  /// client needs for one step of the kernel's, by its own speed so far; nil while all is well, and
  /// when it was told before.
  func stalledRun(now: Instant) -> PieceRun? {
    guard !isStalled, let range, let connection else { return nil }
    let queued = connection.queuedByteCount
    guard queued > 0, queued == queuedByteCount else {
      queuedByteCount = queued
      progressed = now
      return nil
    }
    let sent = max(0, range.count - queued)
    let rate = Double(sent) / max((progressed - started).seconds, 0.001)
    let step = Double(Self.stepByteCount) / max(rate, 1)
    let patience = Self.stallTime + .nanoseconds(Int64(min(step * 4, 60) * 1e9))
    guard now - progressed >= min(patience, Self.stallTimeMax) else { return nil }
    isStalled = true
    let run = geometry.run(covering: range)
    let first = geometry.piece(at: min(range.offset + sent, range.last)).rawValue
    return PieceRun(first: PieceIndex(first), count: run.end - first)
  }
}

extension Geometry {
  /// The pieces that lie inside `range` with all their bytes; nil when there is none.
  func run(inside range: ByteRange) -> PieceRun? {
    let first = (range.offset + pieceByteCount - 1) / pieceByteCount
    let end = range.end >= byteCount ? pieceCount : range.end / pieceByteCount
    return first < end ? PieceRun(first: PieceIndex(first), count: end - first) : nil
  }
}
