import Content
import Digests
import Posix
import Synchronization

/// A hasher's work.
extension Catalogue {
  private static let chunkByteCount = 1 << 20
  /// Files inside files interrupted for them: beyond this an urgent file waits.
  private static let interruptionDepthMax = 4
  /// Attempts at a file that changes while it is read; the next scan finds it again.
  private static let attemptCountMax = 3
  private static let unrecordedCountMax = 256
  private static let unrecordedByteCountMax = 256 << 20

  /// One turn: hashes all that waits.
  func hashWaiting(asked attendant: Attendant) {
    var byteCount = 0
    var hasWorked = false
    while !attendant.isStopping, let job = queue.withLock({ $0.next() }) {
      hasWorked = true
      hash(job, depth: 0, asked: attendant)
      byteCount += job.byteCount
      if unrecorded.withLock({ $0.count }) >= Self.unrecordedCountMax
        || byteCount >= Self.unrecordedByteCountMax
      {
        byteCount = 0
        recordDigests()
        onProgress(progress)
      }
    }
    recordDigests()
    if hasWorked { onProgress(progress) }
  }

  /// Brings the digests found since into the index, in one transaction.
  func recordDigests() {
    let records = unrecorded.withLock { records in
      defer { records = [] }
      return records
    }
    guard !records.isEmpty else { return }
    do {
      try index.write { index throws(StorageError) in try index.insert(records) }
    } catch {
      // The entries serve from memory; after a restart they are hashed again.
      report(.index(error))
    }
  }

  private func hash(_ job: HashQueue.Job, depth: Int, asked attendant: Attendant) {
    defer { queue.withLock { $0.finish(job.path) } }
    guard DigestRecord.isPublishable(job.path, publisher: publisher) else {
      return report(
        CatalogueProblem(path: job.path, reason: "the name cannot stand in a manifest"))
    }
    do {
      let file = try root.open(job.path)
      for _ in 0..<Self.attemptCountMax {
        let status = try file.status()
        guard status.kind == .regular, known(job.path, status) == nil else { return }
        guard let settled = try settle(file, status) else { continue }
        guard
          let digests = try digests(
            of: file, byteCount: settled.byteCount, path: job.path, depth: depth,
            asked: attendant)
        else { return }
        guard try file.status() == settled, digests.geometry.byteCount == settled.byteCount
        else { continue }
        return keep(digests, of: job.path, settled)
      }
      report(CatalogueProblem(path: job.path, reason: "the file changes while it is read"))
    } catch  where error.isNotFound {
      // Removed since it was queued.
    } catch {
      report(CatalogueProblem(path: job.path, reason: error.description))
    }
  }

  /// Waits until a later change of the file is certain to show in its status: a file system's clock
  /// ticks in steps, and two changes within one step look the same.
  /// - Returns: the status from then on, or nil when the file has changed meanwhile.
  private func settle(_ file: OpenFile, _ status: FileStatus) throws(SystemError) -> FileStatus? {
    // Whole seconds mean a file system that knows nothing finer.
    let step: Int64 = status.changed % 1_000_000_000 == 0 ? 1_100_000_000 : 20_000_000
    let missing = status.changed + step - Clock.wallNanoseconds()
    // A change stamped in the future says the clock was set back: nothing to wait for.
    guard missing > 0, missing <= step else { return status }
    let pause = Monitor()
    let end = Clock.now() + .nanoseconds(missing)
    pause.withLock {
      while Clock.now() < end { _ = pause.wait(atMost: end - Clock.now()) }
    }
    let later = try file.status()
    return later == status ? later : nil
  }

  /// Reads the file once. Nil when the catalogue stops meanwhile or there is more than a package
  /// can have.
  private func digests(
    of file: OpenFile, byteCount: Int, path: String, depth: Int, asked attendant: Attendant
  ) throws(SystemError) -> PackageDigests? {
    guard Geometry(byteCount: byteCount) != nil else {
      report(CatalogueProblem(path: path, reason: "the file is too large for a package"))
      return nil
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(Self.chunkByteCount, max(byteCount, 1)), alignment: 4096)
    defer { buffer.deallocate() }
    var hasher = PackageHasher()
    var spent = Duration.zero
    var offset = 0
    while offset < byteCount {
      guard !attendant.isStopping else { return nil }
      hashUrgent(below: byteCount - offset, depth: depth, asked: attendant)
      let start = Clock.now()
      let count = try file.read(into: buffer, at: offset)
      // Cut short meanwhile: the comparison of statuses will say so.
      guard count > 0 else { break }
      hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      offset += count
      spent = spent + (Clock.now() - start)
      queue.withLock { $0.progressed(path, remainingByteCount: max(0, byteCount - offset)) }
    }
    learnRate(byteCount: offset, in: spent)
    return hasher.finish()
  }

  /// A file somebody waits for does not wait for the end of a longer one.
  private func hashUrgent(below byteCount: Int, depth: Int, asked attendant: Attendant) {
    guard depth < Self.interruptionDepthMax else { return }
    while !attendant.isStopping, let job = queue.withLock({ $0.nextUrgent(below: byteCount) }) {
      hash(job, depth: depth + 1, asked: attendant)
    }
  }

  private func keep(_ digests: PackageDigests, of path: String, _ status: FileStatus) {
    let record = DigestRecord(
      path: path, key: FileKey(status), id: digests.id, sha256: digests.sha256,
      md5: digests.md5, pieceLayer: digests.pieceLayer)
    tally.withLock { tally in
      tally.progress.hashedCount += 1
      tally.progress.hashedByteCount += status.byteCount
    }
    guard let entry = record.entry(status: status, publisher: publisher) else { return }
    clearProblem(path)
    cache.insert(entry, at: path)
    unrecorded.withLock { $0.append(record) }
  }

  /// Small files say little about the rate.
  private func learnRate(byteCount: Int, in spent: Duration) {
    guard byteCount >= Self.chunkByteCount, spent > .zero else { return }
    let rate = Double(byteCount) / spent.seconds
    tally.withLock { $0.bytesPerSecond += (rate - $0.bytesPerSecond) / 4 }
  }
}
