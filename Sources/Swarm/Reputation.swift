import Content

/// Who is kept out of the referrals because of corrupt pieces, and whose word counts for how much.
///
/// Nothing a victim can show proves who sent it bad bytes, since nobody signs them. So the origin
/// asks the accused for the same piece itself: a wrong one convicts it for everybody, a right one
/// is held against the accuser. Where it gets no answer, the word of others decides: the peer is
/// suspended when accusers of two sites or more weigh 2 together and more than those it served
/// well. All of it ends with the penalty time.
struct Reputation: Sendable {
  private struct Accusation: Sendable {
    var reporter: PeerID
    var site: String
    var accused: PeerID
    var until: Instant
    var finding: Finding
  }

  /// What the origin found when it asked the accused.
  enum Finding: Hashable, Sendable {
    /// Not asked yet: nobody is judged meanwhile.
    case awaited
    case unanswered
    /// The accused sent the right bytes. It may have chosen its victim, so a part of the weight
    /// stays: many accusers that each count a little still add up.
    case refuted

    init(_ answer: CheckQueue.Answer) {
      self =
        switch answer {
        case .awaited: .awaited
        case .known(.right): .refuted
        // The wrong are convicted already.
        case .known, .none: .unanswered
        }
    }
  }

  private static let accusationCountMax = 1_024
  private static let convictionCountMax = 1_024
  private static let refutedShare = 0.25
  /// What accusations must weigh together, and less than that one site's can.
  private static let weightMin = 2.0
  private static let siteWeightMax = 1.0

  private let soleAccusationCountMax: Int
  private var accusations: [Accusation] = []
  private var convictions: [(peer: PeerID, until: Instant)] = []

  init(soleAccusationCountMax: Int) { self.soleAccusationCountMax = soleAccusationCountMax }

  /// - Parameter endorserCount: peers that got good bytes from it and do not accuse it.
  func isSuspended(_ peer: PeerID, endorserCount: Int) -> Bool {
    if convictions.contains(where: { $0.peer == peer }) { return true }
    let sum = weight(against: peer)
    return sum > Self.weightMin - 0.001 && sum > Double(endorserCount)
  }

  /// Each site counts once at most, whoever speaks there: identities cost nothing, networks do.
  func weight(against peer: PeerID) -> Double {
    var bySite: [(site: String, weight: Double)] = []
    for accusation in accusations where accusation.accused == peer {
      let weight = weight(of: accusation)
      if let index = bySite.firstIndex(where: { $0.site == accusation.site }) {
        bySite[index].weight = min(bySite[index].weight + weight, Self.siteWeightMax)
      } else {
        bySite.append((accusation.site, weight))
      }
    }
    return bySite.reduce(0) { $0 + $1.weight }
  }

  /// Whoever accuses many, or was found wrong before, counts for less.
  private func weight(of accusation: Accusation) -> Double {
    guard accusation.finding != .awaited else { return 0 }
    var accusedCount = 0
    var refutedCount = 0
    for other in accusations where other.reporter == accusation.reporter {
      accusedCount += 1
      if other.finding == .refuted, other.accused != accusation.accused { refutedCount += 1 }
    }
    let spread = min(1, Double(soleAccusationCountMax) / Double(accusedCount))
    let share = accusation.finding == .refuted ? Self.refutedShare : 1
    return share * spread / Double(1 + refutedCount)
  }

  func accuses(_ reporter: PeerID, _ accused: PeerID) -> Bool {
    accusations.contains { $0.reporter == reporter && $0.accused == accused }
  }

  /// Somebody, believed or not, accuses the peer.
  func isAccused(_ peer: PeerID) -> Bool { accusations.contains { $0.accused == peer } }

  /// Everyone `reporter` accuses now, in the order of the accusations.
  func accused(by reporter: PeerID) -> [PeerID] {
    accusations.filter { $0.reporter == reporter }.map(\.accused)
  }

  /// Takes an accusation; one that was made before only lasts longer.
  mutating func accuse(
    _ accused: PeerID, by reporter: PeerID, at site: String, until: Instant, finding: Finding
  ) {
    let known = accusations.firstIndex { $0.accused == accused && $0.reporter == reporter }
    if let known {
      accusations[known].until = max(accusations[known].until, until)
      if accusations[known].finding == .awaited { accusations[known].finding = finding }
      return
    }
    if accusations.count >= Self.accusationCountMax { accusations.removeFirst() }
    accusations.append(
      Accusation(
        reporter: reporter, site: site, accused: accused, until: until, finding: finding))
  }

  /// The origin has asked the accused: what it found decides all that waited for it.
  mutating func find(_ finding: Finding, of accused: PeerID) {
    for index in accusations.indices
    where accusations[index].accused == accused && accusations[index].finding == .awaited {
      accusations[index].finding = finding
    }
  }

  mutating func convict(_ peer: PeerID, until: Instant) {
    if let known = convictions.firstIndex(where: { $0.peer == peer }) {
      convictions[known].until = max(convictions[known].until, until)
      return
    }
    if convictions.count >= Self.convictionCountMax { convictions.removeFirst() }
    convictions.append((peer, until))
  }

  /// Forgets what is over; returns everyone that this may have freed.
  mutating func expire(now: Instant) -> [PeerID] {
    if accusations.isEmpty, convictions.isEmpty { return [] }
    var freed = accusations.filter { $0.until <= now }.map(\.accused)
    freed += convictions.filter { $0.until <= now }.map(\.peer)
    guard !freed.isEmpty else { return [] }
    accusations.removeAll { $0.until <= now }
    convictions.removeAll { $0.until <= now }
    return freed
  }
}
