import Content

/// Neighbours that may be asked, by their places.
struct Askable: Sendable {
  /// Nothing is asked of them yet.
  var fresh: [Int] = []
  /// Asked already, and to be asked for more.
  var working: [Int] = []
}

/// What to fetch next, and from whom.
extension Download {
  mutating func send(
    _ run: PieceRun, to index: Int, isArriving: Bool = false, now: Instant,
    effects: inout [Effect]
  ) {
    requestCount += 1
    let id = RequestID(requestCount)
    let peer = neighbours[index].id
    requests.append(
      Request(
        id: id, source: peer, run: run, isArriving: isArriving, start: now,
        next: run.first.rawValue))
    if neighbours[index].outstandingCount == 0 { neighbours[index].lastProgress = now }
    neighbours[index].outstandingCount += 1
    busy.insert(run)
    needed.remove(run)
    effects.append(
      isArriving ? .fetchArriving(id, from: peer, run.first) : .fetch(id, from: peer, run))
  }

  /// Leased runs go to the origin, a few requests at a time so that its line never idles between
  /// two of them.
  mutating func fetchLeases(now: Instant, effects: inout [Effect]) {
    while let lease = leased.first, neighbours[0].penaltyUntil <= now,
      neighbours[0].busyUntil <= now,
      neighbours[0].outstandingCount < limits.originRequestCountMax
    {
      leased.removeFirst()
      send(lease.run, to: 0, now: now, effects: &effects)
    }
  }

  /// Leases shrink to what is not held yet.
  mutating func trimLeases() {
    guard leased.contains(where: { $0.run.pieces.contains { held.contains($0) } }) else { return }
    var trimmed: [LeaseRecord] = []
    for lease in leased {
      var rest = PieceSet(pieceCount: geometry.pieceCount)
      for piece in lease.run.pieces where !held.contains(piece) { rest.insert(piece) }
      trimmed += rest.runs.map { LeaseRecord(run: $0, deadline: lease.deadline) }
    }
    leased = trimmed
  }

  mutating func fetchFromNeighbours(
    now: Instant, chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    var askable = Askable()
    Swift.swap(&askable, &self.askable)
    while let (index, run) = choice(now: now, chance: &chance, askable: &askable) {
      send(run, to: index, now: now, effects: &effects)
    }
    Swift.swap(&askable, &self.askable)
  }

  /// Finds the neighbours that may be asked now: new ones while fewer than the width are at work, and
  /// only when none of those can be, second requests to those that are. Of more than the width the
  /// slowest are not asked again; sources far slower than the mean come on top.
  private func find(_ askable: inout Askable, now: Instant) {
    askable.fresh.removeAll(keepingCapacity: true)
    askable.working.removeAll(keepingCapacity: true)
    var busyCount = 0
    for index in 1..<neighbours.count {
      let isAtWork = neighbours[index].outstandingCount > 0
      if isAtWork { busyCount += 1 }
      guard mayAsk(index, now: now) else { continue }
      if isAtWork { askable.working.append(index) } else { askable.fresh.append(index) }
    }
    // Without anybody to ask, who is slow makes no difference.
    guard !askable.fresh.isEmpty || !askable.working.isEmpty else { return }
    let width = min(width.count + widthToCatchUp, widthBesidesLeases(now: now))
    let atWorkCount = busyCount - (busyCount >= width ? slowCount : 0)
    guard atWorkCount >= width else { return }
    askable.fresh.removeAll(keepingCapacity: true)
    if atWorkCount > width { removeSlowest(from: &askable.working, atWorkCount, width) }
  }

  private func mayAsk(_ index: Int, now: Instant) -> Bool {
    neighbours[index].outstandingCount < limits.requestsPerSourceMax
      && !isAskedAhead(index) && neighbours[index].busyUntil <= now
      && neighbours[index].isUsable(now: now)
  }

  func mayBeAsked(now: Instant, _ isWanted: (_ outstandingCount: Int) -> Bool) -> [Int] {
    (1..<neighbours.count).filter {
      isWanted(neighbours[$0].outstandingCount) && mayAsk($0, now: now)
    }
  }

  /// Of those at work, a few that are far slower than the mean.
  private var slowCount: Int {
    let slowRate = meanRate / 4
    var count = 0
    for index in 1..<neighbours.count
    where neighbours[index].outstandingCount > 0 && count < limits.sourceCounts.lowerBound {
      let rate = neighbours[index].byteRate
      if rate > 0, rate < slowRate { count += 1 }
    }
    return count
  }

  /// Of those at work, who may be asked again when there are too many: the slowest are let go.
  private func removeSlowest(from working: inout [Int], _ workingCount: Int, _ width: Int) {
    let rates = neighbours.indices.dropFirst().filter { neighbours[$0].outstandingCount > 0 }
      .map { neighbours[$0].byteRate > 0 ? neighbours[$0].byteRate : .max }.sorted()
    let least = rates[min(workingCount - width, rates.count - 1)]
    working.removeAll { neighbours[$0].byteRate != 0 && neighbours[$0].byteRate < least }
  }

  /// Of the neighbours that were measured, bytes a second.
  private var meanRate: Int {
    var sum = 0
    var count = 0
    for index in neighbours.indices.dropFirst() where neighbours[index].byteRate > 0 {
      sum += min(neighbours[index].byteRate, 1 << 40)
      count += 1
    }
    return count > 0 ? sum / count : 0
  }

  private func choice(
    now: Instant, chance: inout SeededGenerator, askable: inout Askable
  ) -> (index: Int, run: PieceRun)? {
    guard !needed.isEmpty else { return nil }
    find(&askable, now: now)
    return choice(among: &askable.fresh, chance: &chance)
      ?? choice(among: &askable.working, chance: &chance)
  }

  private func choice(
    among group: inout [Int], chance: inout SeededGenerator
  ) -> (index: Int, run: PieceRun)? {
    guard !group.isEmpty else { return nil }
    if let choice = wantedChoice(among: group, chance: &chance) { return choice }
    guard let index = source(among: &group, chance: &chance) else { return nil }
    var candidates = offered(index)
    candidates.formIntersection(needed)
    guard let piece = rarest(among: candidates, prefersPairs: true, chance: &chance) else {
      return nil
    }
    return (index, run(around: piece, at: index))
  }

  /// What a reader waits for comes first, from whoever has it.
  private func wantedChoice(
    among group: [Int], chance: inout SeededGenerator
  ) -> (index: Int, run: PieceRun)? {
    guard !wantedRuns.isEmpty else { return nil }
    var candidates = PieceSet(pieceCount: geometry.pieceCount)
    for index in group { candidates.formUnion(offered(index)) }
    candidates.formIntersection(needed)
    guard let piece = wanted(among: candidates, chance: &chance),
      let index = source(of: piece, among: group, chance: &chance)
    else { return nil }
    return (index, run(from: piece, at: index))
  }

  /// One of the first pieces a reader waits for, drawn so that several readers of one place do not
  /// all ask for the same.
  private func wanted(among candidates: PieceSet, chance: inout SeededGenerator) -> PieceIndex? {
    var found: [PieceIndex] = []
    for run in wantedRuns {
      var next = candidates.first(from: run.first.rawValue)
      while let piece = next, run.contains(piece), found.count < limits.wantedSpread {
        found.append(piece)
        next = candidates.first(from: piece.rawValue + 1)
      }
      if found.count >= limits.wantedSpread { break }
    }
    return found.randomElement(using: &chance)
  }

  /// One of the rarest, drawn so that not everybody asks for the same. A request costs both sides
  /// about as much as the bytes of a piece: with `prefersPairs`, of equally rare ones those are
  /// drawn whose partner is a candidate too, and one request brings both. Partners are 0 and 1, 2
  /// and 3, and so on: everybody pairs alike, so what came as a pair can travel on as one.
  private func rarest(
    among candidates: PieceSet, prefersPairs: Bool = false, chance: inout SeededGenerator
  ) -> PieceIndex? {
    var best: PieceIndex?
    var bestRank = Int.max
    var tieCount: UInt64 = 0
    for wordIndex in 0..<candidates.wordCount {
      let word = candidates.word(wordIndex)
      var rest = word
      while rest != 0 {
        let bit = rest.trailingZeroBitCount
        rest &= rest - 1
        let piece = wordIndex << 6 + bit
        let isSingle = prefersPairs && word & (1 << UInt64(bit ^ 1)) == 0
        let rank = Int(availability[piece]) * 2 + (isSingle ? 1 : 0)
        if rank < bestRank {
          (best, bestRank, tieCount) = (PieceIndex(piece), rank, 1)
        } else if rank == bestRank {
          tieCount += 1
          if chance.next() % tieCount == 0 { best = PieceIndex(piece) }
        }
      }
    }
    return best
  }

  /// The source is chosen before the piece: then the crowd spreads over all uplinks, and each spends
  /// its own on the rarest that it has. If all asked for the rarest piece there is, they would meet at
  /// its few holders, while who has only common ones is idle.
  ///
  /// The better of two drawn at random: always taking the best would send everybody to the same one.
  /// Whoever was drawn is not in the group afterwards.
  private func source(among group: inout [Int], chance: inout SeededGenerator) -> Int? {
    var first: Int?
    while !group.isEmpty {
      group.swapAt(Int.random(in: group.indices, using: &chance), group.count - 1)
      let index = group.removeLast()
      guard offersNeeded(index) else { continue }
      if first == nil, isEnough(index) { return index }
      guard let known = first else {
        first = index
        continue
      }
      return better(known, index)
    }
    return first
  }

  /// The better of two holders drawn at random.
  func source(
    of piece: PieceIndex, among group: [Int], chance: inout SeededGenerator
  ) -> Int? {
    let holders = group.filter { offers(piece, $0) }
    guard let first = holders.randomElement(using: &chance),
      let second = holders.randomElement(using: &chance)
    else { return nil }
    return isEnough(first) ? first : better(first, second)
  }

  /// It alone would send us as much as was said to be enough: then no better one is looked for, and
  /// the best are left to those who need them.
  private func isEnough(_ index: Int) -> Bool {
    guard let target = limits.targetByteRate else { return false }
    return neighbours[index].byteRate / (neighbours[index].outstandingCount + 1) >= target
  }

  /// Who will have sent a piece first: fewer requests before it, more bytes a second, a shorter way.
  private func better(_ first: Int, _ second: Int) -> Int {
    let meanRate = meanRate
    return cost(second, meanRate: meanRate) < cost(first, meanRate: meanRate) ? second : first
  }

  /// Pieces' times until ours is here. Grows with the requests before ours, with how crowded the
  /// source said it was, and with the round trip, which passes once whatever the speed. Its rate
  /// counts within bounds: what it gave once it gave to somebody who shared its line with others.
  private func cost(_ index: Int, meanRate: Int) -> Double {
    let load = neighbours[index].source.uploads
    let crowding = load.limit > 0 ? Double(load.active) / Double(load.limit) : 1
    let rate = neighbours[index].byteRate
    let speed = rate > 0 && meanRate > 0 ? Double(rate) / Double(meanRate) : 1
    let pieceNanoseconds = 1e9 * Double(geometry.pieceByteCount) / Double(max(1, meanRate))
    let way = meanRate > 0 ? neighbours[index].history.roundTrip / pieceNanoseconds : 0
    let queue = Double(neighbours[index].outstandingCount + 1) + crowding
    return queue / min(max(speed, 0.5), 2) + min(way, limits.roundTripCostMax)
  }

  /// Consecutive needed pieces the source holds, from `piece` on.
  private func run(from piece: PieceIndex, at index: Int) -> PieceRun {
    let end = end(of: piece, countMax: countMax(at: index), at: index)
    return PieceRun(first: piece, count: end - piece.rawValue)
  }

  /// The same, and those before `piece` while there is room: what a reader waits for is at the front
  /// of a run, what is rare may be anywhere in it.
  private func run(around piece: PieceIndex, at index: Int) -> PieceRun {
    let countMax = countMax(at: index)
    let end = end(of: piece, countMax: countMax, at: index)
    var start = piece.rawValue
    while start > 0, end - start < countMax, isAskable(PieceIndex(start - 1), of: index) {
      start -= 1
    }
    return PieceRun(first: PieceIndex(start), count: end - start)
  }

  private func end(of piece: PieceIndex, countMax: Int, at index: Int) -> Int {
    var end = piece.rawValue + 1
    while end < geometry.pieceCount, end - piece.rawValue < countMax,
      isAskable(PieceIndex(end), of: index)
    {
      end += 1
    }
    return end
  }

  private func isAskable(_ piece: PieceIndex, of index: Int) -> Bool {
    needed.contains(piece) && offers(piece, index)
  }

  /// Pieces in one request: `runByteCountMin` in a crowd, up to `runByteCountMax` from a single
  /// neighbour, and at any rate what a fast source sends in a few milliseconds.
  private func countMax(at index: Int) -> Int {
    let openCount = neighbours.reduce(0) { $0 + ($1.stream == .open ? 1 : 0) }
    let crowded = min(limits.runByteCountMin, limits.runByteCountMax)
    let shared = max(crowded, limits.runByteCountMax / max(1, openCount * openCount))
    let quick = min(neighbours[index].byteRate / 200, limits.runByteCountMax / 8)
    return max(1, max(shared, quick) / geometry.pieceByteCount)
  }

  /// The last resort: the origin without a lease. For a reader whose piece nobody has or fetches;
  /// and for everyone when the tracker is silent, or had nothing, for so long that waiting is worse
  /// than a second copy.
  mutating func fetchUnleased(
    now: Instant, chance: inout SeededGenerator, effects: inout [Effect]
  ) {
    noteWanted(now: now)
    guard neighbours[0].outstandingCount == 0, neighbours[0].penaltyUntil <= now,
      neighbours[0].busyUntil <= now, leased.isEmpty, !needed.isEmpty
    else { return }
    if let piece = wantedPiece, now - wantedSince >= limits.readerPatience {
      send(unleasedRun(from: piece), to: 0, now: now, effects: &effects)
    } else if now - lastArrival >= limits.lastResortTime, isStarving(now: now) {
      guard let piece = rarest(among: needed, chance: &chance) else { return }
      send(unleasedRun(from: piece), to: 0, now: now, effects: &effects)
    }
  }

  private func unleasedRun(from piece: PieceIndex) -> PieceRun {
    let isAlone = !neighbours.contains { $0.stream == .open }
    let byteCount = isAlone ? limits.runByteCountMax : 128 << 10
    return needed.run(from: piece, countMax: max(1, byteCount / geometry.pieceByteCount))
      ?? PieceRun(piece)
  }

  /// Keeps the first piece a reader waits for that no neighbour has, and since when that is so.
  private mutating func noteWanted(now: Instant) {
    guard let piece = firstWanted, availability[piece.rawValue] == 0 else {
      wantedPiece = nil
      return
    }
    if wantedPiece != piece { (wantedPiece, wantedSince) = (piece, now) }
  }

  private var firstWanted: PieceIndex? {
    for run in wantedRuns {
      if let piece = needed.first(from: run.first.rawValue), run.contains(piece) { return piece }
    }
    return nil
  }
}
