package import Content

/// An announce and where it came from.
package struct HeardAnnounce: Sendable {
  package let announce: Announce
  package let address: IPAddress

  package init(_ announce: Announce, from address: IPAddress) {
    self.announce = announce
    self.address = address
  }
}

/// The hashes of the peers that announces name, in the order in which they are taken: of each the
/// announcer, then the sources of its deliveries.
struct NamedPeers: ~Copyable {
  fileprivate(set) var hashes: [UInt64] = []
  private var taken = 0

  fileprivate init() {}

  mutating func next() -> UInt64 {
    defer { taken += 1 }
    return hashes[taken]
  }

  /// Passes over the deliveries of a report that is not taken.
  mutating func skip(_ count: Int) { taken += count }

  /// Where the names of the next announce end.
  func end(of announce: Announce) -> Int {
    taken + announce.namedPeerCount
  }

  mutating func skip(to end: Int) { taken = end }
}

extension Announce {
  fileprivate var namedPeerCount: Int {
    var count = 1
    let reports = reports.span.extracting(first: Self.reportCountMax)
    for index in reports.indices { count += reports[index].deliveryCount }
    return count
  }
}

extension PackageReport {
  /// The deliveries that count.
  var deliveryCount: Int { min(deliveries.count, Self.deliveryCountMax) }
}

/// Nearly all that an announce is about lies in memory that no cache holds: to find a peer takes two
/// reads, its place in a package one more, its bitmap another, and each of them waits for the one
/// before. Done step by step for all the peers that a few announces name, those of one step overlap.
extension Tracker {
  /// Hashes the names and brings what is known of them into the processor's cache.
  mutating func prepare(_ heard: Span<HeardAnnounce>) -> NamedPeers {
    var named = NamedPeers()
    named.hashes.reserveCapacity(4 * heard.count)
    for index in heard.indices {
      named.hashes.append(heard[index].announce.peer.keyHash)
      let reports = heard[index].announce.reports.span.extracting(first: Announce.reportCountMax)
      for report in reports.indices {
        let deliveries = reports[report].deliveries.span
        for delivery in 0..<reports[report].deliveryCount {
          named.hashes.append(deliveries[delivery].source.keyHash)
        }
      }
    }
    touch(heard, named.hashes.span)
    return named
  }

  private mutating func touch(_ heard: Span<HeardAnnounce>, _ hashes: Span<UInt64>) {
    var sum: UInt64 = 0
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: hashes.count) { places in
      for index in hashes.indices {
        places.initializeElement(at: index, to: likelySlot(hash: hashes[index]))
      }
      for place in places { sum ^= read(slot: place) }
      var first = 0
      for index in heard.indices {
        // The announcers move to the front.
        places[index] = places[first]
        first += heard[index].announce.namedPeerCount
      }
      sum ^= readMemberships(heard, UnsafeMutableBufferPointer(rebasing: places[..<heard.count]))
    }
    touched = sum
  }

  private func read(slot: UInt32) -> UInt64 {
    guard Int(slot) < peers.count else { return 0 }
    // The beginning, the middle and the end.
    return peers[Int(slot)].id.low ^ UInt64(truncatingIfNeeded: peers[Int(slot)].servedByteCount)
      ^ UInt64(peers[Int(slot)].memberIndex)
  }

  private func readMemberships(
    _ heard: Span<HeardAnnounce>, _ slots: UnsafeMutableBufferPointer<UInt32>
  ) -> UInt64 {
    var sum: UInt64 = 0
    for index in heard.indices {
      sum ^= UInt64(likelyMember(slots[index])?.bitmap ?? 0)
    }
    // Where what was gained belongs in the bitmap.
    for index in heard.indices {
      guard let found = likelyMember(slots[index]),
        case .changes(let gained, _)? = heard[index].announce.reports.first?.holdings,
        let piece = gained.first?.first
      else { continue }
      sum ^= tables[found.table].bitmaps.likelyWord(found.bitmap, piece.rawValue >> 6)
    }
    return sum
  }

  /// Of the package that the peer joined last; most have one.
  private func likelyMember(_ slot: UInt32) -> (table: Int, bitmap: UInt32)? {
    guard Int(slot) < peers.count else { return nil }
    let (table, index) = (Int(peers[Int(slot)].firstTable), Int(peers[Int(slot)].memberIndex))
    guard table < tables.count, index < tables[table].members.count else { return nil }
    return (table, tables[table].members[index].bitmap)
  }
}
