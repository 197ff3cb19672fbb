import Content

/// What the tracker knows of a peer, whatever the package.
struct PeerRecord: Sendable {
  private static let shunnedCountMax = 16
  private static let endorserCountMax = 8

  let id: PeerID
  /// Told apart from whoever had the same slot before.
  let generation: UInt32
  private(set) var endpoint: Endpoint
  private(set) var site: String
  private(set) var siteKey: SiteKey
  private(set) var place: PeerStanding.Place
  var uploads: UploadLoad
  var speaksTLS = false
  /// Dropped when nothing is heard until then.
  var deadline: Instant
  var isSuspended = false
  /// Somebody got bytes from it: it can be reached.
  var isProven = false
  /// The origin could not reach it, or enough sites called it dead. One that was proven is up again
  /// when it is next heard; one that was not is behind something that lets nobody in, and stays
  /// down until `downUntil`.
  var isDown = false
  var downUntil: Instant = .zero
  /// Kept connections that the origin has with it.
  var connectionCount = 0
  /// The last of them has ended, and it has not spoken since.
  var isAway = false
  /// The sites that called it dead since it was last heard.
  var deadReports: [String] = []
  /// The last peers that got bytes from it.
  private(set) var endorsers: [UInt32] = []
  var demotedUntil: Instant = .zero
  /// Bytes a second of the origin's responses to it; 0 when unknown.
  var originRate = 0
  /// Bytes a second of its own responses, as others measured them; 0 when unknown.
  var servedRate = 0
  /// Bytes that others say it sent them.
  var servedByteCount = 0
  /// The tables it is a member of.
  var memberships: [UInt32] = []
  /// Sources that failed this peer: for it they hold nothing.
  private(set) var shunned: [(slot: UInt32, until: Instant)] = []

  init(
    id: PeerID, generation: UInt32, endpoint: Endpoint, site: String, uploads: UploadLoad,
    deadline: Instant
  ) {
    self.id = id
    self.generation = generation
    self.endpoint = endpoint
    self.site = site
    siteKey = SiteKey(label: site, address: endpoint.address)
    place = PeerStanding.Place(site: site, address: endpoint.address)
    self.uploads = uploads
    self.deadline = deadline
  }

  /// It is somewhere else now, or named its site anew.
  /// - Returns: whether that changed anything.
  mutating func move(to endpoint: Endpoint, site: String) -> Bool {
    guard endpoint != self.endpoint || site != self.site else { return false }
    self.endpoint = endpoint
    self.site = site
    place = PeerStanding.Place(site: site, address: endpoint.address)
    let key = SiteKey(label: site, address: endpoint.address)
    guard key != siteKey else { return false }
    siteKey = key
    return true
  }

  /// Its pieces count as out: others can get them there.
  var isServing: Bool { endpoint.port != 0 && !isSuspended && !isDown && !isAway }

  /// Where it is, for counting sites: its label, else its network.
  var siteName: String { site.isEmpty ? "\(endpoint.address.site)" : site }

  mutating func endorse(_ reporter: UInt32) {
    guard !endorsers.contains(reporter) else { return }
    if endorsers.count >= Self.endorserCountMax { endorsers.removeFirst() }
    endorsers.append(reporter)
  }

  /// True when enough different sites have said so.
  mutating func reportDead(by site: String, countMax: Int) -> Bool {
    if !deadReports.contains(site) { deadReports.append(site) }
    return deadReports.count >= countMax
  }

  var standing: PeerStanding {
    PeerStanding(
      id: id, endpoint: endpoint, uploads: uploads, demotedUntil: demotedUntil,
      servedRate: servedRate, speaksTLS: speaksTLS, place: place)
  }

  func shuns(_ slot: UInt32, now: Instant) -> Bool {
    shunned.contains { $0.slot == slot && $0.until > now }
  }

  mutating func shun(_ slot: UInt32, until: Instant, now: Instant) {
    shunned.removeAll { $0.slot == slot || $0.until <= now }
    if shunned.count >= Self.shunnedCountMax { shunned.removeFirst() }
    shunned.append((slot, until))
  }
}

/// A running mean that follows a change in about four steps.
func smoothed(_ old: Int, _ sample: Int) -> Int {
  old == 0 ? sample : old - old / 4 + sample / 4
}

/// Bytes a second, nothing for durations too short to mean anything.
func byteRate(byteCount: Int, duration: Duration) -> Int? {
  let seconds = duration.seconds
  guard byteCount > 0, seconds > 1e-6 else { return nil }
  return Int(min(Double(byteCount) / seconds, 1e12))
}
