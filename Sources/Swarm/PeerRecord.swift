import Content

/// What the tracker knows of a peer, whatever the package: plain numbers without references,
/// because every answer looks at many. What only few peers have is in `PeerMarks`.
struct PeerRecord: Keyed {
  private static let endorserCountMax = 8
  /// The end of the list of tables.
  static let noTable = UInt32.max

  struct Flags: OptionSet, Sendable {
    let rawValue: UInt8

    /// The slot is somebody's.
    static let isPresent = Flags(rawValue: 1)
    /// It serves by TLS only.
    static let speaksTLS = Flags(rawValue: 2)
    static let isSuspended = Flags(rawValue: 4)
    /// Somebody got bytes from it: it can be reached.
    static let isProven = Flags(rawValue: 8)
    /// The origin could not reach it, or enough sites called it dead. One that was proven is up
    /// again when it is next heard; one that was not is behind something that lets nobody in, and
    /// stays down until `PeerMarks.downUntil`.
    static let isDown = Flags(rawValue: 16)
    /// The last of its kept connections has ended, and it has not spoken since.
    static let isAway = Flags(rawValue: 32)
    /// There is something about it in `Tracker.marks`.
    static let isMarked = Flags(rawValue: 64)

    init(rawValue: UInt8) { self.rawValue = rawValue }
  }

  // First what the records of others' sources are looked at for: it lies together in memory.
  private(set) var id: PeerID
  var flags: Flags = []
  private var endorserCount: UInt8 = 0
  /// The second of the clock in which `servedRate` was measured last, modulo 2^16: 18 hours later
  /// an old measurement counts as a new one for its term, which does no harm.
  private var measuredSecond: UInt16 = 0
  private var activeUploadCount: UInt32 = 0
  private var uploadCountMax: UInt32 = 0
  /// The number of its label: see `SiteLabels`.
  var site: UInt32
  /// Bytes a second of its own responses, as others measured them; 0 when unknown. How old that may
  /// be is for `isMeasured` to say.
  private(set) var servedRate = 0
  var endpoint: Endpoint
  /// Told apart from whoever had the same slot before.
  let generation: UInt32
  private var uploadByteRate = 0
  /// Bytes that others say it sent them.
  var servedByteCount = 0
  /// The last peers that got bytes from it, the oldest first.
  private var endorserSlots = InlineArray<8, UInt32>(repeating: 0)
  /// Dropped when nothing is heard until then.
  var deadline: Instant
  /// Bytes a second of the origin's responses to it; 0 when unknown.
  var originRate = 0
  /// The table it joined last; its members know the one before.
  var firstTable = PeerRecord.noTable
  /// Where it was last found among the members of a package: with most packages it is the same.
  var memberIndex: UInt32 = 0
  /// Kept connections that the origin has with it.
  var connectionCount: UInt32 = 0

  init(
    id: PeerID, generation: UInt32, endpoint: Endpoint, site: UInt32, deadline: Instant
  ) {
    self.id = id
    self.generation = generation
    self.endpoint = endpoint
    self.site = site
    self.deadline = deadline
    flags = .isPresent
  }

  /// Nobody, in the slot of one who has gone.
  static func vacant(_ generation: UInt32) -> PeerRecord {
    var record = PeerRecord(
      id: .origin, generation: generation, endpoint: Endpoint(address: .v4(0), port: 0),
      site: SiteLabels.none, deadline: .zero)
    record.flags = []
    return record
  }

  mutating func set(_ flag: Flags, _ isSet: Bool) {
    if isSet { flags.insert(flag) } else { flags.remove(flag) }
  }

  /// It has announced itself.
  mutating func heard(_ announce: Announce, deadline: Instant) {
    uploads = announce.uploads
    set(.speaksTLS, announce.speaksTLS)
    self.deadline = deadline
    flags.remove(.isAway)
  }

  /// It has sent bytes to the reporter, who measured the rate if there were enough. A measurement
  /// that is older than the term is not what it is doing now: the mean begins anew.
  mutating func delivered(
    _ byteCount: Int, to reporter: UInt32, rate: Int?, now: Instant, term: Duration
  ) {
    servedByteCount &+= byteCount
    guard let rate else { return }
    servedRate = smoothed(isMeasured(now: now, term: term) ? servedRate : 0, rate)
    measuredSecond = Self.second(of: now)
    flags.insert(.isProven)
    endorse(reporter)
  }

  /// Somebody has measured it within the term.
  func isMeasured(now: Instant, term: Duration) -> Bool {
    servedRate > 0 && .seconds(Self.second(of: now) &- measuredSecond) < term
  }

  private static func second(of now: Instant) -> UInt16 {
    UInt16(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
  }

  func isCalled(_ peer: PeerID) -> Bool { id.high == peer.high && id.low == peer.low }

  var isPresent: Bool { flags.contains(.isPresent) }

  /// Its pieces count as out: others can get them there.
  var isServing: Bool {
    endpoint.port != 0 && flags.isDisjoint(with: [.isSuspended, .isDown, .isAway])
  }

  var uploads: UploadLoad {
    get {
      UploadLoad(
        active: Int(activeUploadCount), limit: Int(uploadCountMax), byteRate: uploadByteRate)
    }
    set {
      activeUploadCount = UInt32(clamping: newValue.active)
      uploadCountMax = UInt32(clamping: newValue.limit)
      uploadByteRate = newValue.byteRate
    }
  }

  /// No more uploads than it allows.
  var takesUploads: Bool { uploadCountMax > 0 && activeUploadCount <= uploadCountMax }
  var isFull: Bool { activeUploadCount >= uploadCountMax }
  /// As many uploads as it allows, or more; who allows none is not busy.
  var isBusy: Bool { uploadCountMax > 0 && isFull }

  var siteKey: SiteKey {
    site == SiteLabels.none ? .network(endpoint.address.site) : .label(site)
  }

  func isNear(_ place: PeerPlace) -> Bool {
    if site != SiteLabels.none, place.site != SiteLabels.none { return site == place.site }
    return endpoint.address.site == place.network
  }

  mutating func endorse(_ reporter: UInt32) {
    let count = Int(endorserCount)
    for index in 0..<count where endorserSlots[index] == reporter { return }
    if count == Self.endorserCountMax {
      for index in 1..<count { endorserSlots[index - 1] = endorserSlots[index] }
      endorserSlots[count - 1] = reporter
    } else {
      endorserSlots[count] = reporter
      endorserCount += 1
    }
  }

  func forEachEndorser(_ body: (UInt32) -> Void) {
    for index in 0..<Int(endorserCount) { body(endorserSlots[index]) }
  }
}

extension PeerRecord {
  var keyHash: UInt64 { id.keyHash }
}

extension PeerID {
  /// Keyed by the process: peers choose their ids, and must not choose where they lie in a table.
  var keyHash: UInt64 { UInt64(truncatingIfNeeded: hashValue) }
}

/// Where an asker is: its label, if any, and its network.
struct PeerPlace: Sendable {
  var site: UInt32
  /// As `SiteLabels` hashes it.
  var region: UInt64
  var network: IPAddress
}

/// What few peers have: trouble.
struct PeerMarks: Sendable {
  private static let shunnedCountMax = 16

  /// Called dead or stalled: it is named last until then.
  var demotedUntil: Instant = .zero
  /// How long it stays down at least.
  var downUntil: Instant = .zero
  /// The sites that called it dead since it was last heard.
  var deadReports: [String] = []
  /// Sources that failed this peer: for it they hold nothing.
  private(set) var shunned: [(slot: UInt32, until: Instant)] = []

  /// True when enough different sites have said so.
  mutating func reportDead(by site: String, countMax: Int) -> Bool {
    if !deadReports.contains(site) { deadReports.append(site) }
    return deadReports.count >= countMax
  }

  func shuns(_ slot: UInt32, now: Instant) -> Bool {
    shunned.contains { $0.slot == slot && $0.until > now }
  }

  mutating func shun(_ slot: UInt32, until: Instant, now: Instant) {
    shunned.removeAll { $0.slot == slot || $0.until <= now }
    if shunned.count >= Self.shunnedCountMax { shunned.removeFirst() }
    shunned.append((slot, until))
  }

  /// Nothing of it matters any more.
  func isOver(now: Instant) -> Bool {
    demotedUntil <= now && downUntil <= now && deadReports.isEmpty
      && shunned.allSatisfy { $0.until <= now }
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
