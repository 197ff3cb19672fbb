package import Content

/// The look-up table in numbers, for people and gauges.
package struct TrackerSnapshot: Hashable, Sendable {
  package var peerCount = 0
  package var suspendedPeerCount = 0
  package var announceCount: UInt64 = 0
  package var complaintCount: UInt64 = 0
  /// Times the origin asked a peer that others complained of.
  package var checkCount: UInt64 = 0
  /// Bytes that peers were reported to have sent each other.
  package var peerByteCount = 0
  /// The peers that sent others most, the most used first.
  package var mostUsedPeers: [PeerUse] = []
  /// Ascending by id.
  package var packages: [PackageSnapshot] = []

  /// The packages of which most was sent, by the origin and by peers, the most used first.
  package func mostUsedPackages(countMax: Int) -> [PackageSnapshot] {
    let used = packages.filter { $0.usedByteCount > 0 }
    return Array(
      used.sorted { ($1.usedByteCount, $0.package) < ($0.usedByteCount, $1.package) }
        .prefix(countMax))
  }
}

/// How many peers are kept back, and why. A peer may be counted under several.
package struct PeerStateCounts: Hashable, Sendable {
  /// Its last kept connection has ended, and it has not spoken since.
  package var away = 0
  /// The origin could not reach it, or enough sites called it dead.
  package var down = 0
  /// Found to send corrupt pieces.
  package var suspended = 0
  /// Called dead or stalled a moment ago: named last.
  package var demoted = 0
  /// Sends less than a quarter of the mean, as measured lately: named late.
  package var slow = 0
  /// At its upload limit or above it.
  package var busy = 0
}

/// How much one peer has done for others.
package struct PeerUse: Hashable, Sendable {
  package var peer: PeerID
  package var endpoint: Endpoint
  package var site: String
  /// As others reported it.
  package var servedByteCount: Int
  package var byteRate: Int
}

package struct PackageSnapshot: Hashable, Sendable {
  package var package: PackageID
  package var pieceCount = 0
  package var memberCount = 0
  /// Members that hold everything.
  package var seedCount = 0
  /// Pieces that at least one serving member holds.
  package var heldPieceCount = 0
  /// Pieces leased and not yet reported as held.
  package var leasedPieceCount = 0
  /// Bytes of this package the origin was reported to have sent.
  package var originByteCount = 0
  /// The same in copies of the package.
  package var originCopies = 0.0
  package var announceCount: UInt64 = 0
  /// Of them, those that members of the swarm asked for, in bytes and in copies; what is under way
  /// is in it.
  package var swarmByteCount = 0
  package var swarmCopies = 0.0
  /// Bytes that members were reported to have sent each other.
  package var peerByteCount = 0
  /// Sites of its serving members; 0 when more than can be told apart.
  package var siteCount = 0

  package var usedByteCount: Int { originByteCount + peerByteCount }
}

extension Tracker {
  /// - Parameter listsUse: with the most used peers, for which all have to be looked at.
  package func snapshot(listsUse: Bool = true) -> TrackerSnapshot {
    var snapshot = TrackerSnapshot()
    snapshot.peerCount = peerCount
    snapshot.suspendedPeerCount = suspendedSlots.count
    snapshot.announceCount = announceCount
    snapshot.complaintCount = complaintCount
    snapshot.checkCount = checkCount
    snapshot.packages = tables.indices.compactMap {
      tables[$0].isPresent ? Self.snapshot(of: tables[$0]) : nil
    }
    snapshot.packages.sort { $0.package < $1.package }
    snapshot.peerByteCount = peerByteCount
    if listsUse { snapshot.mostUsedPeers = mostUsedPeers() }
    return snapshot
  }

  /// Looks at every peer once.
  package func peerStateCounts(now: Instant) -> PeerStateCounts {
    var counts = PeerStateCounts()
    for index in peers.indices where peers[index].isPresent {
      let flags = peers[index].flags
      if flags.contains(.isAway) { counts.away += 1 }
      if flags.contains(.isDown) { counts.down += 1 }
      if flags.contains(.isSuspended) { counts.suspended += 1 }
      if isDemoted(UInt32(index), now: now) { counts.demoted += 1 }
      if isSlow(UInt32(index), now: now) { counts.slow += 1 }
      if peers[index].isBusy { counts.busy += 1 }
    }
    return counts
  }

  private static let mostUsedCountMax = 10

  private func mostUsedPeers() -> [PeerUse] {
    var best: [PeerRecord] = []
    func isBetter(_ one: PeerRecord, _ other: PeerRecord) -> Bool {
      (other.servedByteCount, one.id) < (one.servedByteCount, other.id)
    }
    for index in peers.indices where peers[index].servedByteCount > 0 {
      let peer = peers[index]
      if best.count == Self.mostUsedCountMax, !isBetter(peer, best[best.count - 1]) { continue }
      best.insert(peer, at: best.firstIndex { isBetter(peer, $0) } ?? best.count)
      if best.count > Self.mostUsedCountMax { best.removeLast() }
    }
    return best.map {
      PeerUse(
        peer: $0.id, endpoint: $0.endpoint, site: labels.text($0.site),
        servedByteCount: $0.servedByteCount, byteRate: $0.servedRate)
    }
  }

  private static func snapshot(of table: PackageTable) -> PackageSnapshot {
    var snapshot = PackageSnapshot(package: table.id)
    snapshot.pieceCount = table.pieceCount
    snapshot.memberCount = table.members.count
    snapshot.seedCount = table.seedCount
    snapshot.heldPieceCount = table.heldPieceCount
    snapshot.leasedPieceCount = table.leasedPieceCount
    snapshot.originByteCount = table.originByteCount
    snapshot.originCopies =
      Double(table.originByteCount) / Double(max(1, table.geometry.byteCount))
    snapshot.announceCount = table.announceCount
    snapshot.swarmByteCount = table.swarmByteCount
    snapshot.swarmCopies =
      Double(table.swarmByteCount) / Double(max(1, table.geometry.byteCount))
    snapshot.peerByteCount = table.peerByteCount
    snapshot.siteCount = table.sites.populatedCount
    return snapshot
  }
}
