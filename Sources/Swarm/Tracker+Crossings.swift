import Content

/// Where a member finds what it brings into its site.
extension Tracker {
  private static let holderCountMax = 2

  /// Names holders of the crossings that the member has not brought yet, as promises that are kept
  /// already: so it need not follow machines of other sites, each of whose have-streams would carry
  /// the news of every piece across. They are drawn anew with each answer, in case one was of no use.
  func nameHolders(
    in part: inout PackageReferral, slot: UInt32, tableIndex: Int, now: Instant,
    rng: inout some RandomNumberGenerator
  ) {
    guard part.staysNear, let table = tables[tableIndex], let index = table.index(of: slot),
      !table.members[index].crossings.isEmpty
    else { return }
    var chance = SeededGenerator(seed: rng.next())
    let member = table.members[index]
    for crossing in member.crossings where !member.held.contains(crossing.run) {
      let whole = holders(of: crossing.run, in: table, for: member, now: now, chance: &chance)
      name(whole, of: crossing.run, in: &part, table)
      guard whole.isEmpty, crossing.run.count > 1 else { continue }
      for piece in crossing.run.pieces {
        let run = PieceRun(piece)
        name(
          holders(of: run, in: table, for: member, now: now, chance: &chance), of: run, in: &part,
          table)
      }
    }
  }

  /// The best of other sites, as members.
  private func holders(
    of run: PieceRun, in table: PackageTable, for member: Member, now: Instant,
    chance: inout SeededGenerator
  ) -> [Int] {
    let place = standings[Int(member.slot)].place
    var ranked: [(rank: UInt64, member: Int)] = []
    let count = table.members.count
    let start = count > limits.reachableCountMax ? Int(chance.next() >> 1) % count : 0
    for offset in 0..<min(count, limits.reachableCountMax) {
      let index = (start + offset) % count
      let other = table.members[index]
      guard other.isCounted, other.site != member.site, other.held.contains(run),
        !peers[Int(member.slot)]!.shuns(other.slot, now: now),
        let rank = rank(standings[Int(other.slot)], isEmpty: false, near: place, now: now)
      else { continue }
      ranked.append((rank << 56 | chance.next() >> 8, index))
    }
    return ranked.sorted { $0.rank < $1.rank }.prefix(Self.holderCountMax).map(\.member)
  }

  /// Holders that the list of sources left out are named there as well.
  private func name(
    _ holders: [Int], of run: PieceRun, in part: inout PackageReferral, _ table: PackageTable
  ) {
    for index in holders where part.promises.count < PackageReferral.promiseCountMax {
      let holder = table.members[index]
      let standing = standings[Int(holder.slot)]
      if !part.sources.contains(where: { $0.peer == standing.id }) {
        part.sources.append(
          Source(
            peer: standing.id, endpoint: standing.endpoint, heldPieceCount: holder.held.count,
            uploads: standing.uploads, isNear: false, speaksTLS: standing.speaksTLS))
      }
      part.promises.append(Promise(holder: standing.id, run: run, expected: .zero))
    }
  }
}
