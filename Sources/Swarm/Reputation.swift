import Content

/// Who is kept out of the referrals because of corrupt pieces.
///
/// An accusation weighs 1 while its reporter accuses few; a reporter who accuses more than
/// `soleAccusationCountMax` peers shares that number among them all. A peer is suspended while the
/// accusations against it weigh 1 or more: the word of one peer in good standing is enough, the
/// word of one who accuses everybody drops nobody, and several reporters add up.
struct Reputation: Sendable {
  private struct Accusation: Sendable {
    var reporter: PeerID
    var accused: PeerID
    var until: Instant
  }

  private static let accusationCountMax = 1_024

  private let soleAccusationCountMax: Int
  private var accusations: [Accusation] = []

  init(soleAccusationCountMax: Int) { self.soleAccusationCountMax = soleAccusationCountMax }

  static func weight(distinctAccusedCount: Int, soleAccusationCountMax: Int) -> Double {
    min(1, Double(soleAccusationCountMax) / Double(max(1, distinctAccusedCount)))
  }

  func isSuspended(_ peer: PeerID) -> Bool {
    var sum = 0.0
    for accusation in accusations where accusation.accused == peer {
      sum += Self.weight(
        distinctAccusedCount: accused(by: accusation.reporter).count,
        soleAccusationCountMax: soleAccusationCountMax)
    }
    return sum >= 0.999
  }

  /// Everyone `reporter` accuses now, in the order of the accusations.
  func accused(by reporter: PeerID) -> [PeerID] {
    accusations.filter { $0.reporter == reporter }.map(\.accused)
  }

  /// Takes an accusation; one that was made before only lasts longer.
  mutating func accuse(_ accused: PeerID, by reporter: PeerID, until: Instant) {
    let known = accusations.firstIndex { $0.accused == accused && $0.reporter == reporter }
    if let known {
      accusations[known].until = max(accusations[known].until, until)
      return
    }
    if accusations.count >= Self.accusationCountMax { accusations.removeFirst() }
    accusations.append(Accusation(reporter: reporter, accused: accused, until: until))
  }

  /// Forgets what is over; returns everyone that this may have freed.
  mutating func expire(now: Instant) -> [PeerID] {
    let freed = accusations.filter { $0.until <= now }.map(\.accused)
    if !freed.isEmpty { accusations.removeAll { $0.until <= now } }
    return freed
  }
}
