package import Content

/// Which sources are named, in which order.
extension Tracker {
  /// The ranked sources for somebody who only asks (`/-/referral/ID`, or a redirected request):
  /// no leases. Nil when the package is not registered.
  package func sources(
    of id: PackageID, for address: IPAddress, site: String = "", except asker: PeerID? = nil,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> PackageReferral? {
    guard let tableIndex = tableIndices[id] else { return nil }
    let slot = asker.flatMap { self.slot(of: $0) }
    var part = PackageReferral(package: id, pieceCount: tables[tableIndex].pieceCount)
    part.sources = rankedSources(
      tableIndex: tableIndex, near: place(label: site, address), except: slot,
      countMax: limits.sourceCountMax, now: now, rng: &rng)
    return part
  }

  /// Near ones first, then those of the same region, but a quarter of the list is for the far, so
  /// that sites stay connected; within that at random, so that the askers spread. Never the
  /// suspended, the down, those above their limit and those that serve nobody; last the demoted,
  /// the slow and the full. The origin comes first when nobody else holds anything, else last.
  /// - Parameter countMax: sources named at most, the origin included.
  func rankedSources(
    tableIndex: Int, near place: PeerPlace, except asker: UInt32?, countMax: Int,
    now: Instant, rng: inout some RandomNumberGenerator
  ) -> [Source] {
    let memberCount = tables[tableIndex].members.count
    let sampleCount = min(memberCount, countMax * limits.sampledPerSource, Candidate.numberMax)
    let marks = asker.flatMap { self.marks(of: $0) }
    // One draw: what follows needs the quality of chance, not its strength.
    var chance = SeededGenerator(seed: rng.next())
    return withUnsafeTemporaryAllocation(of: Candidate.self, capacity: sampleCount) { sample in
      // One thing after the other for all of them: memory is asked for many at a time.
      for number in 0..<sampleCount {
        let member = Self.drawn(from: number, of: sampleCount, among: memberCount, rng: &chance)
        sample.initializeElement(at: number, to: Candidate(member: UInt32(member)))
      }
      for number in 0..<sampleCount {
        sample[number].look(at: tables[tableIndex].members[Int(sample[number].member)])
      }
      for number in 0..<sampleCount {
        sample[number].look(at: peers[Int(sample[number].slot)])
      }
      return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: sampleCount) { keys in
        var keyCount = 0
        for number in 0..<sampleCount where sample[number].isCounted {
          let slot = sample[number].slot
          guard slot != asker, marks?.shuns(slot, now: now) != true,
            let rank = rank(
              slot, isEmpty: sample[number].heldCount == 0, near: place, now: now)
          else { continue }
          keys.initializeElement(at: keyCount, to: Candidate.key(rank, chance.next(), number))
          keyCount += 1
        }
        var ranked = UnsafeMutableBufferPointer(rebasing: keys[..<keyCount])
        ranked.sort()
        return sources(of: tableIndex, ranked, sample, countMax: countMax)
      }
    }
  }

  /// The best of those whose keys are `ranked`, and the origin.
  private func sources(
    of tableIndex: Int, _ ranked: UnsafeMutableBufferPointer<UInt64>,
    _ sample: UnsafeMutableBufferPointer<Candidate>, countMax: Int
  ) -> [Source] {
    var sources: [Source] = []
    sources.reserveCapacity(min(countMax, ranked.count + 1))
    var isAlone = true
    Self.forEachMixed(ranked, countMax: countMax - 1) { key in
      let candidate = sample[Candidate.number(key)]
      if candidate.heldCount > 0 { isAlone = false }
      let index = Int(candidate.slot)
      sources.append(
        Source(
          peer: peers[index].id, endpoint: peers[index].endpoint,
          heldPieceCount: candidate.heldCount, uploads: peers[index].uploads,
          isNear: Self.isNear(key), speaksTLS: peers[index].flags.contains(.speaksTLS)))
    }
    let origin = Source(
      peer: .origin, endpoint: Endpoint(address: .v4(0), port: 0),
      heldPieceCount: tables[tableIndex].pieceCount, uploads: originLoad, isNear: false)
    if isAlone { sources.insert(origin, at: 0) } else { sources.append(origin) }
    return sources
  }

  /// A member that may be named, and the key it is sorted by: rank, chance, its number among those
  /// that were drawn.
  private struct Candidate: BitwiseCopyable {
    static let numberMax = 1 << 8

    let member: UInt32
    private(set) var slot: UInt32 = 0
    private var heldPieceCount: UInt16 = 0
    private(set) var isCounted = false
    private var peerFlags: PeerRecord.Flags = []
    private var port: UInt16 = 0

    init(member: UInt32) { self.member = member }

    var heldCount: Int { Int(heldPieceCount) }

    mutating func look(at member: borrowing Member) {
      slot = member.slot
      heldPieceCount = UInt16(member.heldCount)
      isCounted = member.isCounted
    }

    /// Only reads both ends of what `rank` looks at, so that it is near then.
    mutating func look(at peer: borrowing PeerRecord) {
      peerFlags = peer.flags
      port = peer.endpoint.port
    }

    static func key(_ rank: UInt64, _ chance: UInt64, _ number: Int) -> UInt64 {
      rank << 56 | (chance >> 16) << 8 | UInt64(number)
    }

    static func number(_ key: UInt64) -> Int { Int(key & 0xff) }
  }

  func marks(of slot: UInt32) -> PeerMarks? {
    peers[Int(slot)].flags.contains(.isMarked) ? marks[slot] : nil
  }

  /// A peer that a client without our software may be sent to: it holds everything, was not accused
  /// of anything, has a free upload, and is as near as such a one can be. Nil when there is none.
  package func redirectTarget(
    of id: PackageID, for address: IPAddress, now: Instant,
    rng: inout some RandomNumberGenerator
  ) -> Endpoint? {
    guard let tableIndex = tableIndices[id] else { return nil }
    let place = place(label: "", address)
    var best: (rank: UInt64, endpoint: Endpoint)?
    for index in candidates(among: tables[tableIndex].members.count, rng: &rng) {
      let slot = tables[tableIndex].members[index].slot
      guard tables[tableIndex].members[index].isCounted, tables[tableIndex].isFull(index) else {
        continue
      }
      let peer = peers[Int(slot)]
      let marks = marks(of: slot)
      guard marks?.demotedUntil ?? .zero <= now, marks?.deadReports.isEmpty ?? true,
        !peer.flags.contains(.speaksTLS), !reputation.isAccused(peer.id), !peer.isFull
      else { continue }
      let far: UInt64 = peer.isNear(place) ? 0 : 1
      let rank = far << 56 | rng.next() >> 8
      if best.map({ rank < $0.rank }) ?? true { best = (rank, peer.endpoint) }
    }
    return best?.endpoint
  }

  /// All members of a small table; of a large one, some drawn at random and in that order.
  private func candidates(
    among count: Int, rng: inout some RandomNumberGenerator
  ) -> [Int] {
    guard count > limits.sampleCountMax else { return Array(0..<count) }
    let stretchCount = limits.sampleCountMax
    return (0..<stretchCount).map {
      Self.drawn(from: $0, of: stretchCount, among: count, rng: &rng)
    }
  }

  /// One of a stretch of the members, which are cut into equal ones. Evenly spaced from a random
  /// start would keep meeting the same company; one draw from each stretch does not, and draws
  /// nobody twice.
  private static func drawn(
    from stretch: Int, of stretchCount: Int, among count: Int,
    rng: inout some RandomNumberGenerator
  ) -> Int {
    let start = stretch * count / stretchCount
    let end = (stretch + 1) * count / stretchCount
    guard end - start > 1 else { return start }
    return start + Int(truncatingIfNeeded: rng.next() >> 1) % (end - start)
  }

  private static let farRank: UInt64 = 4

  private static func isNear(_ key: UInt64) -> Bool { key >> 56 & farRank == 0 }

  /// The high byte of the sort key, the rest of which is chance; nil for who is not to be named.
  func rank(
    _ slot: UInt32, isEmpty: Bool, near place: PeerPlace, now: Instant
  ) -> UInt64? {
    let index = Int(slot)
    guard peers[index].takesUploads else { return nil }
    var rank: UInt64 = 0
    if isDemoted(slot, now: now) { rank |= 32 }
    if isSlow(slot, now: now) { rank |= 16 }
    if peers[index].isFull { rank |= 8 }
    if !peers[index].isNear(place) {
      rank |= Self.farRank
      if place.region == 0 || labels.region(peers[index].site) != place.region { rank |= 2 }
    }
    if isEmpty { rank |= 1 }
    return rank
  }

  func isDemoted(_ slot: UInt32, now: Instant) -> Bool {
    guard peers[Int(slot)].flags.contains(.isMarked), let marks = marks[slot] else { return false }
    return marks.demotedUntil > now
  }

  /// It sends less than a quarter of the mean. In a swarm too large to name all, a slow peer is not
  /// named, so nobody would ever measure it again: what was measured counts for a term only.
  func isSlow(_ slot: UInt32, now: Instant) -> Bool {
    peers[Int(slot)].servedRate < servedRate / 4
      && peers[Int(slot)].isMeasured(now: now, term: limits.measurementTerm)
  }

  /// Calls `body` with the keys of those to be named. A quarter of a full list is for the far.
  private static func forEachMixed(
    _ ranked: UnsafeMutableBufferPointer<UInt64>, countMax: Int, _ body: (UInt64) -> Void
  ) {
    let allNearCount = ranked.reduce(0) { $0 + (isNear($1) ? 1 : 0) }
    let allFarCount = ranked.count - allNearCount
    guard ranked.count > countMax, allNearCount > 0, allFarCount > 0 else {
      return ranked.prefix(countMax).forEach(body)
    }
    let nearCount = min(allNearCount, max(countMax - countMax / 4, countMax - allFarCount))
    for (isNearer, count) in [(true, nearCount), (false, countMax - nearCount)] {
      var rest = count
      for key in ranked where rest > 0 && isNear(key) == isNearer {
        body(key)
        rest -= 1
      }
    }
  }
}
