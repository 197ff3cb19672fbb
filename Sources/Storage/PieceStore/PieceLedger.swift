import Content

/// What a package's data file holds, piece by piece, and who is at it. Pure: it says what may be
/// written, committed, dropped; the package around it does so.
///
/// A piece goes: absent → partial (bytes arrive) → sealed (all arrived, being recorded) → verified
/// (in the index) → leaving (out of the index, bytes being given back) → absent. Bytes for a piece
/// that is sealed, verified or leaving are refused, so what was hashed is what stays on disk.
struct PieceLedger {
  let geometry: Geometry
  private(set) var verified: PieceSet
  /// Verified, and on the disk whatever happens to the machine.
  private(set) var durable: PieceSet
  /// Has bytes on disk that count against the limit.
  private(set) var occupied: PieceSet
  private var sealed: PieceSet
  private var leaving: PieceSet
  private var partial: [Int: Partial] = [:]
  private var pinCounts: [Int: Int] = [:]
  private var lastUses: [Int: UInt64] = [:]

  private struct Partial {
    /// Bytes received since the piece was last empty; above its length when writers overlapped.
    var receivedByteCount = 0
    var writerCount = 0
  }

  init(geometry: Geometry, verified: PieceSet, durable: PieceSet) {
    self.geometry = geometry
    self.verified = verified
    self.durable = durable
    occupied = verified
    let none = PieceSet(pieceCount: geometry.pieceCount)
    sealed = none
    leaving = none
  }

  var isBusy: Bool { !pinCounts.isEmpty || !partial.isEmpty || !sealed.isEmpty }
  var occupiedByteCount: Int { byteCount(of: occupied) }
  var unrecordedCount: Int { geometry.pieceCount - verified.count - sealed.count }

  func byteCount(of pieces: PieceSet) -> Int {
    var count = pieces.count * geometry.pieceByteCount
    // Only the last piece can be short.
    if let last = geometry.piece(geometry.pieceCount - 1), pieces.contains(last) {
      count -= geometry.pieceByteCount - geometry.byteRange(of: last).count
    }
    return count
  }
}

/// Bytes arriving.
extension PieceLedger {
  /// What of a write is wanted, and the pieces it is the first for.
  struct Admission {
    var ranges: [ByteRange] = []
    var begun: PieceSet
  }

  /// A write of `range` begins. Every admitted one is followed by `finishWrite` or `failWrite`.
  mutating func beginWrite(_ range: ByteRange, tick: UInt64) -> Admission {
    var admission = Admission(begun: PieceSet(pieceCount: geometry.pieceCount))
    for piece in geometry.run(covering: range).pieces {
      guard !verified.contains(piece), !sealed.contains(piece), !leaving.contains(piece),
        let part = geometry.byteRange(of: piece).intersection(range)
      else { continue }
      partial[piece.rawValue, default: Partial()].receivedByteCount += part.count
      partial[piece.rawValue, default: Partial()].writerCount += 1
      lastUses[piece.rawValue] = tick
      if occupied.insert(piece) { admission.begun.insert(piece) }
      if let last = admission.ranges.last, last.end == part.offset,
        let joined = ByteRange(offset: last.offset, count: last.count + part.count)
      {
        admission.ranges[admission.ranges.count - 1] = joined
      } else {
        admission.ranges.append(part)
      }
    }
    return admission
  }

  /// - Returns: whether a commit may be waiting for this.
  mutating func finishWrite(_ admission: Admission) -> Bool {
    var freesSealed = false
    forEachPiece(of: admission) { ledger, piece in
      ledger.partial[piece.rawValue]?.writerCount -= 1
      if ledger.sealed.contains(piece) { freesSealed = true }
    }
    return freesSealed
  }

  /// The write went wrong: what the pieces hold is not known, so none of it counts any more.
  mutating func failWrite(_ admission: Admission) {
    forEachPiece(of: admission) { ledger, piece in
      ledger.partial[piece.rawValue]?.writerCount -= 1
      ledger.forget(piece)
    }
  }

  /// No room was found for the write; nothing of it reached the disk.
  /// - Returns: the pieces it had begun and that other writers have started, or sealed, meanwhile:
  ///   these need the room all the same.
  mutating func cancelWrite(_ admission: Admission) -> PieceSet {
    for range in admission.ranges {
      for piece in geometry.run(covering: range).pieces {
        guard var state = partial[piece.rawValue],
          let part = geometry.byteRange(of: piece).intersection(range)
        else { continue }
        state.writerCount -= 1
        state.receivedByteCount = max(0, state.receivedByteCount - part.count)
        partial[piece.rawValue] =
          state.writerCount == 0 && state.receivedByteCount == 0 ? nil : state
      }
    }
    var kept = admission.begun
    admission.begun.forEach { piece in
      guard partial[piece.rawValue] == nil, !sealed.contains(piece) else { return }
      kept.remove(piece)
      occupied.remove(piece)
    }
    return kept
  }

  private mutating func forEachPiece(
    of admission: Admission, _ body: (inout PieceLedger, PieceIndex) -> Void
  ) {
    for range in admission.ranges {
      for piece in geometry.run(covering: range).pieces { body(&self, piece) }
    }
  }

  /// Bytes received so far do not count: a commit now would be refused.
  private mutating func forget(_ piece: PieceIndex) {
    sealed.remove(piece)
    guard let state = partial[piece.rawValue] else { return }
    if state.writerCount > 0 {
      // A writer is still at it: what it has counted already must not complete the piece later.
      partial[piece.rawValue]?.receivedByteCount = 0
    } else {
      partial[piece.rawValue] = nil
    }
  }
}

/// Pieces being verified.
extension PieceLedger {
  enum Sealing {
    /// Nothing to do: all verified already.
    case verified
    /// These arrived once, completely; nobody else wrote into them.
    case sealed(PieceSet)
    /// As `sealed`, but in `contested` writers met: what is on disk must be hashed, once
    /// `hasWriters` is false.
    case contested(PieceSet, contested: PieceSet)
    case incomplete
  }

  /// A run whose bytes were hashed and written is to be recorded: from here on nobody changes it.
  /// Followed by `commit` or `unseal`.
  mutating func seal(_ run: PieceRun) -> Sealing {
    var fresh = PieceSet(pieceCount: geometry.pieceCount)
    var contested = fresh
    for piece in run.pieces where !verified.contains(piece) {
      guard !sealed.contains(piece), let state = partial[piece.rawValue],
        state.receivedByteCount >= geometry.byteRange(of: piece).count
      else { return .incomplete }
      fresh.insert(piece)
      if state.writerCount > 0 || state.receivedByteCount > geometry.byteRange(of: piece).count {
        contested.insert(piece)
      }
    }
    guard !fresh.isEmpty else { return .verified }
    sealed.formUnion(fresh)
    return contested.isEmpty ? .sealed(fresh) : .contested(fresh, contested: contested)
  }

  func hasWriters(_ pieces: PieceSet) -> Bool {
    partial.contains { pieces.contains(PieceIndex($0.key)) && $0.value.writerCount > 0 }
  }

  func isSealed(_ pieces: PieceSet) -> Bool { pieces.subtracting(sealed).isEmpty }

  /// The pieces stand in the index.
  mutating func commit(_ pieces: PieceSet, tick: UInt64) {
    pieces.forEach {
      partial[$0.rawValue] = nil
      lastUses[$0.rawValue] = tick
    }
    sealed.subtract(pieces)
    verified.formUnion(pieces)
  }

  /// They could not be recorded, or are not what they should be: their bytes do not count.
  mutating func unseal(_ pieces: PieceSet) {
    pieces.forEach { forget($0) }
  }
}

/// Pieces reaching the disk for good, or not.
extension PieceLedger {
  var unsynchronized: PieceSet { verified.subtracting(durable) }

  mutating func markDurable(_ pieces: PieceSet) {
    var still = pieces
    still.formIntersection(verified)
    durable.formUnion(still)
  }

  /// The disk refused: whatever was not durable yet may read back as anything.
  /// - Returns: the verified pieces this costs; they are leaving now.
  mutating func doubtUnsynchronized() -> PieceSet {
    let doubtful = unsynchronized
    for piece in Array(partial.keys) { forget(PieceIndex(piece)) }
    depart(doubtful)
    return doubtful
  }
}

/// Pieces being used and given up.
extension PieceLedger {
  /// True when all of `run` is verified; it then stays until `unpin`.
  mutating func pin(_ run: PieceRun, tick: UInt64) -> Bool {
    guard geometry.contains(run), verified.contains(run) else { return false }
    for piece in run.pieces {
      pinCounts[piece.rawValue, default: 0] += 1
      lastUses[piece.rawValue] = tick
    }
    return true
  }

  mutating func unpin(_ run: PieceRun) {
    for piece in run.pieces {
      guard let count = pinCounts[piece.rawValue] else {
        preconditionFailure("a piece is unpinned as often as it was pinned")
      }
      pinCounts[piece.rawValue] = count > 1 ? count - 1 : nil
    }
  }

  /// What an eviction may take, with the tick of each piece's last use.
  var evictable: [EvictionCandidate.Piece] {
    var pieces: [EvictionCandidate.Piece] = []
    verified.forEach { piece in
      guard pinCounts[piece.rawValue] == nil else { return }
      pieces.append(
        EvictionCandidate.Piece(
          index: piece, byteCount: geometry.byteRange(of: piece).count,
          lastUse: lastUses[piece.rawValue, default: 0]))
    }
    return pieces
  }

  /// Takes those of `pieces` that are verified and, unless forced, not pinned out of use. Followed
  /// by `vacate`, or `restore` when the index would not have it.
  mutating func withdraw(_ pieces: PieceSet, evenPinned: Bool = false) -> PieceSet {
    var taken = pieces
    taken.formIntersection(verified)
    if !evenPinned { for piece in pinCounts.keys { taken.remove(PieceIndex(piece)) } }
    depart(taken)
    return taken
  }

  mutating func restore(_ pieces: PieceSet) {
    leaving.subtract(pieces)
    verified.formUnion(pieces)
  }

  /// Their bytes are given back.
  mutating func vacate(_ pieces: PieceSet) {
    leaving.subtract(pieces)
    occupied.subtract(pieces)
    pieces.forEach { lastUses[$0.rawValue] = nil }
  }

  /// Unverified pieces nobody is writing: their bytes turned out bad.
  mutating func dropPartial(_ pieces: PieceSet) -> PieceSet {
    var dropped = PieceSet(pieceCount: geometry.pieceCount)
    pieces.subtracting(verified).subtracting(leaving).subtracting(sealed).forEach { piece in
      forget(piece)
      if partial[piece.rawValue] == nil, occupied.contains(piece) { dropped.insert(piece) }
    }
    leaving.formUnion(dropped)
    return dropped
  }

  private mutating func depart(_ pieces: PieceSet) {
    verified.subtract(pieces)
    durable.subtract(pieces)
    leaving.formUnion(pieces)
  }
}
