/// The bounds and times a `Tracker` works with.
package struct TrackerLimits: Hashable, Sendable {
  /// Peers known at a time; beyond it the newcomer is only referred, not remembered.
  package var peerCountMax = 1_000_000
  package var packageCountMax = 1_000_000
  /// Sources named in one referral, the origin included.
  package var sourceCountMax = 41
  /// The same for a member that was told of a swarm about this large before.
  package var freshSourceCountMax = 9
  /// In a swarm too large to rank as a whole, every so many answers name some of them.
  package var answersPerFreshSources = 4
  /// Members looked at for each source named, in a swarm too large to rank as a whole.
  package var sampledPerSource = 2
  package var sampleCountMax = 64
  /// Members looked at to find what a starving one cannot get from anybody.
  package var reachableCountMax = 512
  /// How often a peer is to report: the shortest, for small swarms, and the longest.
  package var interval: ClosedRange<Duration> = .seconds(1)...(.seconds(30))
  /// Peers for each second of interval.
  package var peersPerSecond = 2_000
  /// A peer silent for this many intervals, and a second for the way, is dropped.
  package var missedIntervalCountMax = 2
  package var leaseTerm: ClosedRange<Duration> = .seconds(2)...(.seconds(20))
  /// How long a member has to bring pieces into its site.
  package var crossingTerm: Duration = .seconds(8)
  /// Copies of a package that its origin may send to the swarm while all of it is out; nil leaves it
  /// to what the swarm needs.
  package var originCopiesMax: Double?
  /// Bytes a second that the operator lets the origin send; nil when nothing limits it.
  package var originByteRate: Int?
  /// What the origin has promised to send is at most what it can send in this time.
  package var targetPeriod: Duration = .milliseconds(500)
  /// The same towards the members of a package when those are `largeMemberCount` or more: somebody
  /// is always about to ask, so as little as keeps the origin's line busy is enough. Leases share its
  /// line, and the more there are the later the first of them arrives and travels on.
  package var largeLeasePeriod: Duration = .milliseconds(100)
  package var largeMemberCount = 100
  /// Bytes leased out before the origin's speed is known, and in a large swarm.
  package var leasedByteCountMin = 1 << 20
  /// And pieces, however large: with fewer the origin's line would idle between a piece that has
  /// left and the announce that asks for the next.
  package var leasedPieceCountMin = 4
  /// A package of at most this many bytes is leased whole to everybody who asks: the origin has sent
  /// it before its askers have found each other.
  package var smallPackageByteCountMax = 256 << 10
  /// Bytes of small packages promised at a time before the origin's speed is known.
  package var smallLeasedByteCountMin = 1 << 20
  /// Out of the referrals after a corrupt piece.
  package var corruptPenalty: Duration = .seconds(600)
  /// Last in the referrals after being called dead or stalled.
  package var demotionTime: Duration = .seconds(10)
  /// How long a peer is ranked by the speed that others measured of it, without a delivery that
  /// measures it again: then it is named like one that nobody has measured. Whole seconds, below the
  /// 2^16 that `PeerRecord` tells apart.
  package var measurementTerm: Duration = .seconds(60)
  /// Sites that must call a peer dead before it is believed without asking the peer.
  package var deadReportCountMax = 3
  /// The shell asks peers that others complain of: see `Tracker.takeCheck`.
  package var checksSources = true
  /// How long a peer that nobody ever got bytes from stays down once it could not be reached.
  package var unreachableTime: Duration = .seconds(60)
  /// Peers that one reporter's word alone may keep out of the referrals at a time.
  package var soleAccusationCountMax = 2

  package init() {}
}
