import Content

/// Where a member finds what it brings into its site.
extension Tracker {
  private static let holderCountMax = 2

  /// Names holders of the crossings that the member has not brought yet, as promises that are kept
  /// already: so it need not follow machines of other sites, each of whose have-streams would carry
  /// the news of every piece across. They are drawn anew with each answer, in case one was of no use.
  func nameHolders(
    in part: inout PackageReferral, slot: UInt32, tableIndex: Int, index: Int, now: Instant,
    rng: inout some RandomNumberGenerator
  ) {
    let crossings = tables[tableIndex].members[index].crossings
    guard !crossings.isEmpty else { return }
    var chance = SeededGenerator(seed: rng.next())
    for crossing in crossings where !tables[tableIndex].holds(crossing.run, at: index) {
      let whole = holders(
        of: crossing.run, in: tableIndex, for: index, now: now, chance: &chance)
      name(whole, of: crossing.run, in: &part, tableIndex)
      guard whole.isEmpty, crossing.run.count > 1 else { continue }
      for piece in crossing.run.pieces {
        let run = PieceRun(piece)
        let some = holders(of: run, in: tableIndex, for: index, now: now, chance: &chance)
        name(some, of: run, in: &part, tableIndex)
      }
    }
  }

  /// The best of other sites, as members.
  private func holders(
    of run: PieceRun, in tableIndex: Int, for asker: Int, now: Instant,
    chance: inout SeededGenerator
  ) -> [Int] {
    let (slot, site) = (
      tables[tableIndex].members[asker].slot, tables[tableIndex].members[asker].site
    )
    let (place, marks) = (place(of: slot), marks(of: slot))
    var ranked: [(rank: UInt64, member: Int)] = []
    let count = tables[tableIndex].members.count
    let start = count > limits.reachableCountMax ? Int(chance.next() >> 1) % count : 0
    for offset in 0..<min(count, limits.reachableCountMax) {
      let index = (start + offset) % count
      let other = tables[tableIndex].members[index].slot
      guard tables[tableIndex].members[index].isCounted,
        tables[tableIndex].members[index].site != site,
        tables[tableIndex].holds(run, at: index), marks?.shuns(other, now: now) != true,
        let rank = rank(other, isEmpty: false, near: place, now: now)
      else { continue }
      ranked.append((rank << 56 | chance.next() >> 8, index))
    }
    return ranked.sorted { $0.rank < $1.rank }.prefix(Self.holderCountMax).map(\.member)
  }

  /// Holders that the list of sources left out are named there as well.
  private func name(
    _ holders: [Int], of run: PieceRun, in part: inout PackageReferral, _ tableIndex: Int
  ) {
    for index in holders where part.promises.count < PackageReferral.promiseCountMax {
      let peer = peers[Int(tables[tableIndex].members[index].slot)]
      if !part.sources.contains(where: { $0.peer == peer.id }) {
        part.sources.append(
          Source(
            peer: peer.id, endpoint: peer.endpoint,
            heldPieceCount: tables[tableIndex].members[index].heldCount, uploads: peer.uploads,
            isNear: false, speaksTLS: peer.flags.contains(.speaksTLS)))
      }
      part.promises.append(Promise(holder: peer.id, run: run, expected: .zero))
    }
  }
}
