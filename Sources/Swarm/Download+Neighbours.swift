import Content
import DequeModule

/// What others have, and whom we follow.
extension Download {
  func neighbourIndex(_ peer: PeerID) -> Int? {
    neighbourIDs.firstIndex { $0 == peer }
  }

  mutating func heldBy(_ peer: PeerID, _ set: PieceSet) {
    guard let index = neighbourIndex(peer), !peer.isOrigin, neighbours[index].stream != .none,
      set.pieceCount == geometry.pieceCount
    else { return }
    forget(index)
    neighbours[index].stream = .open
    bitmaps[index] = set
    set.forEach { availability[$0.rawValue] += 1 }
  }

  mutating func hold(_ run: PieceRun, at peer: PeerID) {
    guard let index = neighbourIndex(peer), neighbours[index].stream == .open else { return }
    for piece in run.pieces where bitmaps[index].insert(piece) {
      availability[piece.rawValue] += 1
    }
  }

  mutating func unhold(_ run: PieceRun, at peer: PeerID) {
    guard let index = neighbourIndex(peer),
      neighbours[index].stream == .open || neighbours[index].isVouchedFor
    else { return }
    for piece in run.pieces where bitmaps[index].remove(piece) {
      availability[piece.rawValue] -= 1
    }
  }

  /// Takes what a neighbour holds out of the counts.
  private mutating func forget(_ index: Int) {
    bitmaps[index].forEach { availability[$0.rawValue] -= 1 }
    bitmaps[index] = PieceSet(pieceCount: geometry.pieceCount)
    neighbours[index].isVouchedFor = false
  }

  mutating func promise(_ runs: [PieceRun], by peer: PeerID, until: Instant) {
    for run in runs where geometry.contains(run) {
      if promised.count >= PackageReferral.promiseCountMax { promised.removeFirst() }
      promised.append(Promised(holder: peer, run: run, until: until))
    }
    promiseNotOverBefore = min(promiseNotOverBefore, until)
  }

  /// Those that are over.
  mutating func forgetPromises(now: Instant) {
    guard promiseNotOverBefore <= now else { return }
    promised.removeAll { $0.until <= now }
    promiseNotOverBefore = promised.reduce(Instant(nanoseconds: .max)) { min($0, $1.until) }
  }

  mutating func haveStreamEnded(
    _ peer: PeerID, refused: Bool, now: Instant, effects: inout [Effect]
  ) {
    guard let index = neighbourIndex(peer), neighbours[index].stream != .none else { return }
    leave(index, until: now + limits.penaltyTime, effects: &effects, isOver: true)
    if !refused { complain(.dead, of: peer, piece: PieceIndex(0)) }
  }

  /// Stops following a neighbour and takes back what was asked of it.
  mutating func leave(
    _ index: Int, until: Instant, effects: inout [Effect], isOver: Bool = false
  ) {
    let peer = neighbours[index].id
    cancelRequests(at: peer, effects: &effects)
    forget(index)
    promised.removeAll { $0.holder == peer }
    if neighbours[index].stream != .none, !isOver { effects.append(.unfollow(peer)) }
    neighbours[index].stream = .none
    neighbours[index].penaltyUntil = max(neighbours[index].penaltyUntil, until)
  }

  mutating func cancelRequests(at peer: PeerID, effects: inout [Effect]) {
    let cancelled = requests.filter { $0.source == peer }
    // Two of them may have been asked for the same piece.
    requests.removeAll { $0.source == peer }
    for request in cancelled {
      effects.append(.cancel(request.id))
      giveBack(request)
    }
    if let index = neighbourIndex(peer) { neighbours[index].outstandingCount = 0 }
  }

  mutating func ban(_ peer: PeerID, effects: inout [Effect]) {
    guard let index = neighbourIndex(peer) else { return }
    neighbours[index].isBanned = true
    leave(index, until: .zero, effects: &effects)
  }

  /// Nothing is asked of it while the tracker says so, which it repeats with every answer.
  mutating func avoid(_ peer: PeerID, now: Instant, effects: inout [Effect]) {
    guard let index = neighbourIndex(peer), !peer.isOrigin else { return }
    leave(index, until: now + limits.suspensionTime, effects: &effects)
  }

  /// Learns of sources; those known already are only brought up to date.
  mutating func learn(_ sources: [Source]) {
    for source in sources {
      if let index = neighbourIndex(source.peer) {
        neighbours[index].source = source
      } else if makeRoom() {
        neighbours.append(Neighbour(source: source))
        neighbourIDs.append(source.peer)
        bitmaps.append(PieceSet(pieceCount: geometry.pieceCount))
      }
    }
  }

  /// A full list forgets somebody who is neither followed nor banned.
  private mutating func makeRoom() -> Bool {
    if neighbours.count < limits.neighbourCountMax { return true }
    let idle = neighbours.indices.dropFirst().first {
      neighbours[$0].stream == .none && !neighbours[$0].isBanned && !neighbours[$0].isVouchedFor
        && neighbours[$0].outstandingCount == 0
    }
    guard let idle else { return false }
    neighbours.remove(at: idle)
    neighbourIDs.remove(at: idle)
    bitmaps.remove(at: idle)
    return true
  }

  /// Where the follow limit is reached, some from whom nothing has come make room for sources just
  /// named, and when few have anything we lack, those that have nothing of it. Whoever comes early is told of those who came before it,
  /// and so is everybody: without this the first of a swarm would be asked by all and the last by
  /// nobody, and what the last were sent would never reach the first.
  mutating func swap(
    for sources: [Source], now: Instant, chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    let followCount = neighbours.reduce(0) { $0 + ($1.stream != .none ? 1 : 0) }
    guard !isSettled, followCount >= limits.followCountMax else { return }
    let staysNear = site.staysNear
    let named = sources.compactMap { source in
      neighbourIndex(source.peer).flatMap { index -> Int? in
        let neighbour = neighbours[index]
        let isFree =
          neighbour.stream == .none && !neighbour.isBanned && !neighbour.id.isOrigin
          && neighbour.penaltyUntil <= now
        return isFree && (neighbour.source.isNear || !staysNear) ? index : nil
      }
    }
    guard !named.isEmpty else { return }
    let isShort = usefulCount < width.count
    var idle = neighbours.indices.filter {
      let neighbour = neighbours[$0]
      return neighbour.stream == .open && neighbour.outstandingCount == 0
        && (neighbour.source.isNear || !staysNear)
        && (neighbour.byteCount == 0 || isShort && bitmaps[$0].isDisjoint(with: needed))
    }
    idle.shuffle(using: &chance)
    for (old, new) in zip(idle, named).prefix(limits.swapCountMax) {
      leave(old, until: .zero, effects: &effects)
      neighbours[new].stream = .opening
      effects.append(.follow(neighbours[new].source))
    }
  }

  /// Neighbours that are asked, or could be.
  private var usefulCount: Int {
    neighbours.indices.count {
      neighbours[$0].stream == .open
        && (neighbours[$0].outstandingCount > 0 || !bitmaps[$0].isDisjoint(with: needed))
    }
  }

  mutating func follow(now: Instant, effects: inout [Effect]) {
    var count = neighbours.reduce(0) { $0 + ($1.stream != .none ? 1 : 0) }
    guard count < limits.followCountMax, count + 1 < neighbours.count else { return }
    let farMax = farFollowCountMax
    var farCount = neighbours.reduce(0) {
      $0 + ($1.stream != .none && !$1.source.isNear ? 1 : 0)
    }
    for index in neighbours.indices.dropFirst() where count < limits.followCountMax {
      guard neighbours[index].stream == .none, !neighbours[index].isBanned,
        neighbours[index].penaltyUntil <= now
      else { continue }
      if !neighbours[index].source.isNear {
        guard farCount < farMax else { continue }
        farCount += 1
      }
      neighbours[index].stream = .opening
      effects.append(.follow(neighbours[index].source))
      count += 1
    }
  }

  /// What the neighbours that can be asked hold together.
  func reachable(now: Instant) -> PieceSet {
    var union = PieceSet(pieceCount: geometry.pieceCount)
    for index in neighbours.indices where neighbours[index].isUsable(now: now) {
      union.formUnion(offered(index))
      if union.isFull { break }
    }
    return union
  }

  /// Nothing is under way, and nobody we know has, or has promised, anything we need.
  func isStarving(now: Instant) -> Bool {
    guard requests.allSatisfy(\.isProbe), leased.isEmpty, !needed.isEmpty else { return false }
    for promise in promised where promise.until > now {
      if promise.run.pieces.contains(where: { needed.contains($0) }) { return false }
    }
    var useful = reachable(now: now)
    useful.formIntersection(needed)
    return useful.isEmpty
  }
}
