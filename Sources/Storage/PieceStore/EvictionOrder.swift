import Content

/// What the cache could give up of one package.
struct EvictionCandidate {
  struct Piece: Hashable {
    var index: PieceIndex
    var byteCount: Int
    var lastUse: UInt64
  }

  var id: PackageID
  /// Somebody downloads, streams or sends it: only single pieces of it may go.
  var isInUse: Bool
  var lastUse: UInt64
  /// Everything of it on disk.
  var byteCount: Int
  /// Of a package in use: the verified pieces that are not pinned.
  var pieces: [Piece]
}

/// Which bytes leave the cache first: whole packages nobody uses, the longest unused first; then
/// single pieces of those in use, the longest unused first across all of them. Pure.
enum EvictionOrder {
  enum Step: Hashable {
    case whole(PackageID)
    case pieces(PackageID, PieceSet)
  }

  /// The shortest list of steps in that order that gives back `byteCount`, or all there are.
  static func steps(
    toFree byteCount: Int, from candidates: [EvictionCandidate],
    pieceCounts: (PackageID) -> Int
  ) -> [Step] {
    var steps: [Step] = []
    var freed = 0
    // Ids break ties, so that the order never depends on a dictionary's.
    let idle = candidates.filter { !$0.isInUse }.sorted {
      ($0.lastUse, $0.id) < ($1.lastUse, $1.id)
    }
    for candidate in idle where freed < byteCount {
      steps.append(.whole(candidate.id))
      freed += candidate.byteCount
    }
    let pieces = candidates.filter(\.isInUse).flatMap { candidate in
      candidate.pieces.map { (id: candidate.id, piece: $0) }
    }.sorted {
      ($0.piece.lastUse, $0.id, $0.piece.index) < ($1.piece.lastUse, $1.id, $1.piece.index)
    }
    var chosen: [PackageID: PieceSet] = [:]
    for (id, piece) in pieces where freed < byteCount {
      chosen[id, default: PieceSet(pieceCount: pieceCounts(id))].insert(piece.index)
      freed += piece.byteCount
    }
    for (id, set) in chosen.sorted(by: { $0.key < $1.key }) { steps.append(.pieces(id, set)) }
    return steps
  }
}
