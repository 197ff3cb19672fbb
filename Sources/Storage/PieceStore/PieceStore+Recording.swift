import Content
import Posix
import Synchronization

/// From sealed to verified, and from verified to durable.
extension PieceStore {
  /// A run that was handed to the index's thread.
  struct Submission {
    var package: StoredPackage
    var run: PieceRun
    var completion: @Sendable (Result<Void, StorageError>) -> Void
  }

  struct Pending {
    var submissions: [Submission] = []
    /// In all of them.
    var pieceCount = 0
    /// Nobody takes any more.
    var isClosed = false
  }

  /// Sealed pieces to be put into the index.
  struct Commit {
    var package: StoredPackage
    var run: PieceRun
    var pieces: PieceSet
  }

  func startThreads() throws(StorageError) {
    try onPath(directory) { () throws(SystemError) in
      try indexThread.start(name: "spate-index", gathering: Self.gatheringTime) { [weak self] in
        self?.recordSubmissions()
        return nil
      }
      try flushThread.start(name: "spate-flush") { [weak self] in
        self?.flush()
        return Self.unsynchronizedTimeMax
      }
    }
  }

  func submit(
    _ package: StoredPackage, _ run: PieceRun,
    _ completion: @escaping @Sendable (Result<Void, StorageError>) -> Void
  ) {
    let urgentCount = urgentPieceCount(of: package)
    let (isTaken, isFirst, isUrgent) = pending.withLock { pending in
      guard !pending.isClosed else { return (false, false, false) }
      pending.submissions.append(
        Submission(package: package, run: run, completion: completion))
      pending.pieceCount += run.count
      return (true, pending.submissions.count == 1, pending.pieceCount >= urgentCount)
    }
    guard isTaken else { return completion(.failure(.closed(path: directory))) }
    // Whoever is not first is taken along with the first.
    if isUrgent { indexThread.hurry() } else if isFirst { indexThread.wake() }
  }

  /// Behind the last piece of a package nothing comes that would be worth waiting for. And pieces
  /// that are not recorded cannot make room for others: of a small cache they may be only a part.
  private func urgentPieceCount(of package: StoredPackage) -> Int {
    let part = limit.map { $0 / Self.unrecordedPartDivisor / package.geometry.pieceByteCount }
    return min(package.unrecordedCount, max(1, part ?? .max))
  }

  private static let unrecordedPartDivisor = 8

  /// One turn of the index's thread: everything that gathered while the last one went on.
  func recordSubmissions() {
    let submissions = pending.withLock { pending in
      defer { (pending.submissions, pending.pieceCount) = ([], 0) }
      return pending.submissions
    }
    var commits: [Commit] = []
    var completions: [@Sendable (Result<Void, StorageError>) -> Void] = []
    for submission in submissions {
      do {
        let pieces = try submission.package.seal(submission.run)
        guard !pieces.isEmpty else {
          submission.completion(.success(()))
          continue
        }
        commits.append(
          Commit(package: submission.package, run: submission.run, pieces: pieces))
        completions.append(submission.completion)
      } catch {
        submission.completion(.failure(error))
      }
    }
    guard !commits.isEmpty else { return }
    for (completion, result) in zip(completions, record(commits)) { completion(result) }
  }

  /// Puts the pieces into the index in one transaction, then lets them be served.
  /// - Returns: a result for each of `commits`, in their order.
  func record(_ commits: [Commit]) -> [Result<Void, StorageError>] {
    let tick = nextTick()
    let results = index.withLock { index -> [Result<Void, StorageError>] in
      // A failed synchronisation may have come between, and the bytes are in doubt; or the package
      // was discarded, and another of its id has a file without them.
      let isSound = commits.map { commit in
        isCurrent(commit.package)
          && commit.package.state.withLock { $0.ledger.isSealed(commit.pieces) }
      }
      let sound = zip(commits, isSound).filter(\.1).map(\.0)
      do throws(StorageError) {
        var seals: [PackageID: FileSeal] = [:]
        for commit in sound where seals[commit.package.id] == nil {
          seals[commit.package.id] = try commit.package.currentSeal()
        }
        guard let index else { throw .closed(path: directory) }
        try index.add(
          sound.map {
            StoreIndex.Addition(
              id: $0.package.id, pieces: $0.pieces, seal: seals[$0.package.id] ?? .none,
              lastUse: tick)
          })
      } catch {
        for commit in sound {
          commit.package.state.withLock { $0.ledger.unseal(commit.pieces) }
        }
        return isSound.enumerated().map { index, isSound -> Result<Void, StorageError> in
          .failure(isSound ? error : .incomplete(commits[index].run))
        }
      }
      return zip(commits, isSound).map { commit, isSound -> Result<Void, StorageError> in
        guard isSound else { return .failure(.incomplete(commit.run)) }
        let byteCount = commit.package.state.withLock { state in
          state.ledger.commit(commit.pieces, tick: tick)
          return state.ledger.byteCount(of: commit.pieces)
        }
        unsynchronizedByteCount.add(byteCount, ordering: .relaxed)
        return .success(())
      }
    }
    if unsynchronizedByteCount.load(ordering: .relaxed) >= Self.unsynchronizedByteCountMax {
      flushThread.wake()
    }
    return results
  }

  /// Brings all verified pieces to the disk. The flusher does this by itself; a caller that is
  /// about to end, or a test, may too. Pieces the disk refuses are dropped and reported as lost.
  package func flush() {
    unsynchronizedByteCount.store(0, ordering: .relaxed)
    for package in openPackages { flush(package) }
  }

  func flush(_ package: StoredPackage) {
    let (pieces, file) = package.state.withLock { ($0.ledger.unsynchronized, $0.file) }
    guard !pieces.isEmpty else { return }
    do {
      try file.synchronize()
    } catch {
      return dropUnsynchronized(package)
    }
    do {
      try withIndex { index throws(StorageError) in
        guard isCurrent(package) else { return }
        try index.markDurable(package.id, pieces, seal: package.currentSeal())
      }
      package.state.withLock { $0.ledger.markDurable(pieces) }
    } catch {
      // The pieces are fine and stay what they were, verified but not durable: the next turn of
      // the flusher asks the index again.
      return
    }
  }

  /// The disk did not take what was written. The kernel has marked the pages clean all the same, so
  /// another attempt would succeed and prove nothing: the pieces are gone.
  private func dropUnsynchronized(_ package: StoredPackage) {
    let (dropped, geometry, file) = package.state.withLock { state in
      (state.ledger.doubtUnsynchronized(), state.ledger.geometry, state.file)
    }
    guard !dropped.isEmpty else { return }
    var cause = Loss.Cause.notSynchronized
    do {
      try withIndex { index throws(StorageError) in
        try index.remove(package.id, dropped)
      }
      for run in dropped.runs {
        try onPath(directory) { () throws(SystemError) in
          try file.vacate(run, of: geometry)
        }
      }
    } catch {
      // They stay out of service; the next start hashes the file, whose seal is broken.
      cause = .notIndexed
    }
    release(dropped, of: package)
    onLoss(Loss(id: package.id, runs: dropped.runs, cause: cause, isWhole: false))
  }

  private func isCurrent(_ package: StoredPackage) -> Bool {
    openPackage(package.id) === package && !package.isDiscarded
  }

  /// The pieces' bytes are given back: room for others.
  func release(_ pieces: PieceSet, of package: StoredPackage) {
    let byteCount = package.state.withLock { state in
      state.ledger.vacate(pieces)
      // Whoever discarded or published the package has settled its whole account.
      guard case .cache = state.place else { return 0 }
      return state.ledger.byteCount(of: pieces)
    }
    usedCount.subtract(byteCount, ordering: .relaxed)
  }
}

extension StoredPackage {
  /// What the data file looks like now.
  func currentSeal() throws(StorageError) -> FileSeal {
    let file = state.withLock { $0.file }
    return FileSeal(try onPath(path) { () throws(SystemError) in try file.status() })
  }
}
