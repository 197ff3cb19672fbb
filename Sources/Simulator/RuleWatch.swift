import Content
import Swarm

/// What a run is checked against, kept apart from what is checked: bounds of queues, and who must
/// not be named to anybody now.
struct RuleWatch: Sendable {
  /// Effects of one step.
  static let effectCountMax = 1_024
  /// Leases and requests at the origin that a download may have promised from.
  static let promiseCountMax = 256
  static let violationCountMax = 20

  /// Fetches one download may have under way.
  let requestCountMax: Int
  let followCountMax: Int
  let agendaCountMax: Int
  let penalty: Duration
  /// Who said goodbye and was not heard since.
  var departed: Set<PeerID> = []
  /// Whom the origin asked and caught lying, and when last.
  var caughtAt: [PeerID: Instant] = [:]

  init(_ scenario: SimulationScenario) {
    let limits = scenario.downloadLimits
    // Slow sources come on top of the width, as many again.
    requestCountMax =
      2 * limits.sourceCounts.upperBound * limits.requestsPerSourceMax
      + limits.originRequestCountMax
      + 2 * limits.hedgeUnderWayMax
    followCountMax = limits.followCountMax
    // A peer has as many events ahead as it has fetches, streams and news under way.
    agendaCountMax =
      10_000 + scenario.peers.count * (8 * requestCountMax + 4 * limits.followCountMax)
    penalty = scenario.trackerLimits.corruptPenalty
  }

  /// A new tracker knows of no harm.
  mutating func forget() {
    departed = []
    caughtAt = [:]
  }
}

extension World {
  mutating func violate(_ what: String) {
    guard report.violations.count < RuleWatch.violationCountMax else { return }
    report.violations.append(
      "seed \(scenario.seed), step \(eventCount), at \(now.nanoseconds) ns: \(what)")
  }

  /// No link carries more than it can; levels may be off by the tolerance, twice.
  mutating func watchLinks() {
    let limit = 1 + 3 * links.tolerance + 1e-5
    for link in links.touchedLinks where links.use(of: Int(link)) > limit {
      violate("link \(link) carries \(links.use(of: Int(link))) of its capacity")
    }
    if agenda.count > watch.agendaCountMax { violate("\(agenda.count) events are ahead") }
  }

  mutating func watchOrigin() {
    guard let most = scenario.originCopiesMax else { return }
    let copies = originByteCount / Double(geometry.byteCount)
    if copies > most { violate("the origin has sent \(copies) copies") }
  }

  /// A peer passes on no byte that it has not received itself, from somebody who sends right ones.
  mutating func watchPassingOn(_ byteCount: Double, of piece: PieceIndex, by server: Int) {
    guard !peers[server].proven.contains(piece) else { return }
    var came = 0.0
    for contact in peers[server].contacts {
      let source = connections[Int(contact.connection)]
      guard let first = source.responses.first, first.next == piece.rawValue,
        source.server == origin || !peers[source.server].isLiar
      else { continue }
      came = max(came, self.byteCount(first.next) - source.left - source.heldBack)
    }
    if byteCount > came + 1 {
      violate("peer \(server) passes on \(byteCount) bytes of \(came) it has received")
    }
  }

  mutating func watchRequests(of index: Int) {
    if peers[index].requests.count > watch.requestCountMax {
      violate("peer \(index) has \(peers[index].requests.count) requests under way")
    }
  }

  /// The lists of a download that others can make grow.
  mutating func watchBounds(of index: Int) {
    let download = peers[index].download
    if download.followed.count > watch.followCountMax {
      violate("peer \(index) follows \(download.followed.count)")
    }
    if download.promises.count > RuleWatch.promiseCountMax {
      violate("peer \(index) has \(download.promises.count) leases")
    }
    if download.statistics.count > scenario.downloadLimits.neighbourCountMax {
      violate("peer \(index) remembers \(download.statistics.count) sources")
    }
  }

  /// The origin is there, or honest peers that it knows hold all it misses. Whom a peer has not
  /// heard of before the tracker died, it never will.
  func canFinish(_ index: Int) -> Bool {
    if isOriginUp { return true }
    var missing = peers[index].download.held.inverted
    for peer in peers[index].download.known {
      guard let other = indices[peer], peers[other].life == .up, !peers[other].isLiar,
        peers[other].plan.serves
      else { continue }
      missing.subtract(peers[other].proven)
    }
    return missing.isEmpty
  }

  /// What the tracker has been told of goodbyes.
  mutating func note(_ announce: Announce) {
    if announce.isLeaving {
      watch.departed.insert(announce.peer)
    } else {
      watch.departed.remove(announce.peer)
    }
  }

  /// Whoever said goodbye is not named, nor one that was caught lying, until the penalty ends.
  mutating func watchReferral(_ part: PackageReferral) {
    if part.sources.count > PackageReferral.sourceCountMax {
      violate("a referral names \(part.sources.count) sources")
    }
    for source in part.sources where !source.peer.isOrigin {
      if watch.departed.contains(source.peer) {
        violate("a referral names \(source.peer), which has left")
      }
      if let at = watch.caughtAt[source.peer], now - at < watch.penalty {
        violate("a referral names \(source.peer), which was caught lying")
      }
    }
  }
}
