/// The bounds and times a `Download` works with. The defaults are what the simulator found best.
package struct DownloadLimits: Hashable, Sendable {
  /// Peers fetched from at a time: the fewest, and more where uplinks have room (`SourceWidth`); the
  /// origin's leases and peers much slower than the others come on top.
  package var sourceCounts = 6...12
  /// On top of them, while those that download beside it have more: one for each `lagByteCount`.
  package var sourceCountToCatchUp = 4
  package var lagByteCount = 256 << 10
  /// And this many at least while the origin sends what nobody has.
  package var sourceCountBesidesLeases = 2
  /// Leases of no more than this are no reason to ask fewer neighbours.
  package var leaseByteCountMin = 128 << 10
  /// Nor are leases of an origin that has sent nothing for this long.
  package var leaseSilence: Duration = .milliseconds(300)
  /// Bytes a second that are enough: then no more sources are tried, and one that gives as much is
  /// asked without looking for a better; nil for as fast as it goes.
  package var targetByteRate: Int?
  /// Requests outstanding at one peer: the second hides the round trip.
  package var requestsPerSourceMax = 2
  package var originRequestCountMax = 2
  /// Have-streams we keep open. Fewer would leave too little choice; with more, everybody hears of a
  /// piece later, since followers are told in turns.
  package var followCountMax = 16
  /// Of those, how many make room for newly named sources after one answer of the tracker.
  package var swapCountMax = 8
  /// Have-streams to other sites, while those are asked only for what is to be brought across, and
  /// the tracker says who has it.
  package var farFollowCountMax = 1
  /// Without a byte for this long, and with nothing under way, a download asks other sites for
  /// anything.
  package var lonelyTime: Duration = .milliseconds(1_500)
  /// A request to a peer that needs longer than this is given up when the origin sends the same.
  package var slowRequestTime: Duration = .milliseconds(500)
  /// Sooner than this after the first request to a peer, nothing is said of how fast peers are.
  package var peerMeasureTime: Duration = .milliseconds(150)
  /// Without a byte for this long, a source is left.
  package var stallTime: Duration = .milliseconds(1_500)
  /// A tick this late excuses the sources' silence with our own.
  package var standstillTime: Duration = .milliseconds(300)
  /// How long a source that stalled or broke is left alone.
  package var penaltyTime: Duration = .seconds(5)
  /// How long the tracker's word keeps us from a source.
  package var suspensionTime: Duration = .seconds(60)
  /// A far source counts as one with so many requests more, at most.
  package var roundTripCostMax = 2.0
  /// Pieces asked for twice at a time when nothing else is left to ask for.
  package var hedgeUnderWayMax = 8
  /// And in all: this part of the package, or this many pieces of a small one.
  package var hedgeDivisor = 32
  package var hedgeCountMin = 4
  /// When no idle source has what is late, it is looked for again after this.
  package var hedgePause: Duration = .milliseconds(20)
  /// No request is late before this, however fast its source was so far.
  package var hedgeAge: Duration = .milliseconds(100)
  /// Pieces from this size on are asked for while their source still receives them: bytes are
  /// checked and passed on by chunks of a quarter of it, and smaller pieces are whole soon enough.
  package var arrivingPieceByteCountMin = 1 << 20
  /// So many at a time.
  package var arrivingRequestCountMax = 2
  /// Who does not receive a piece, or no longer does, is not asked for it again before.
  package var arrivingRetryDelay: Duration = .milliseconds(100)
  /// How often a starving download asks the tracker.
  package var starvingAnnounceDelay: ClosedRange<Duration> =
    .milliseconds(50)...(.milliseconds(250))
  /// The second report follows the first after this, the third after twice that, and so on up to
  /// the interval.
  package var warmUpDelay: Duration = .milliseconds(50)
  /// After an answer without leases, doubled each time up to the interval.
  package var emptyLeaseDelay: Duration = .milliseconds(20)
  /// How long a neighbour's promise is waited for.
  package var promiseTime: Duration = .seconds(3)
  /// Bounds to what a busy source says of when to come back.
  package var busyDelay: ClosedRange<Duration> = .milliseconds(10)...(.seconds(2))
  package var originRetryDelay: Duration = .milliseconds(250)
  /// Back-off towards a silent tracker, doubled from the lower to the upper bound, jittered.
  package var trackerRetryDelay: ClosedRange<Duration> = .milliseconds(250)...(.milliseconds(1_500))
  /// A reader's next pieces are drawn from this many.
  package var wantedSpread = 4
  /// A reader waits this long for a piece nobody has before the origin is asked without a lease.
  package var readerPatience: Duration = .milliseconds(200)
  /// Starved this long, a download asks the origin for a run that was not leased to it.
  package var lastResortTime: Duration = .seconds(3)
  /// Sources remembered, followed or not.
  package var neighbourCountMax = 128
  /// Without a byte for this long, and with nobody to ask, it gives up.
  package var patience: Duration = .seconds(60)
  /// Bytes asked for in one request when the swarm is small.
  package var runByteCountMax = 4 << 20
  /// And in a crowd: less would leave the line idle while requests wait in full uplinks.
  package var runByteCountMin = 256 << 10

  package init() {}
}
