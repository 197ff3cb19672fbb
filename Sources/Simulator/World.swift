import Content
import Swarm

/// The swarm in virtual time: the real decisions, a simulated network between them.
struct World {
  static let sweepTime: Duration = .milliseconds(200)
  static let package = PackageID(root: .zero)

  let scenario: SimulationScenario
  let geometry: Geometry
  let model: NetworkModel
  let machine: MachineModel
  var now: Instant = .zero
  /// Events so far: with the seed it names a moment of a run.
  var eventCount = 0
  var agenda = Agenda()
  /// Nil while it is down.
  var tracker: Tracker?
  /// Grows with each tracker that follows another.
  var trackerEpoch = 0
  var trackerRng: SeededGenerator
  /// What the network draws: apart from the decisions, which have generators of their own.
  var networkRng: SeededGenerator
  var links: LinkSharing
  /// The connection of each flow of `links`.
  var connectionOfFlow: [Int32] = []
  var changedFlows: [Int32] = []
  var sharedAt = Instant(nanoseconds: -1_000_000_000)
  var isShareScheduled = false
  var peers: [PeerActor] = []
  var indices: [PeerID: Int] = [:]
  var connections: [Connection] = []
  var originConnections: [Int] = []
  var isOriginUp = true
  /// How many peers that are up have proven each piece, and how many pieces any has.
  var holderCounts: [Int32]
  var spreadCount = 0
  var effects: [Download.Effect] = []
  var report = SimulationReport()
  var trace = TraceHash()
  var originByteCount = 0.0
  var peerByteCount = 0.0
  var unfinishedCount = 0
  var watch: RuleWatch

  /// The origin is the server after the last peer.
  var origin: Int { peers.count }

  init(_ scenario: SimulationScenario) {
    self.scenario = scenario
    geometry = scenario.geometry
    model = scenario.network
    machine = scenario.machine
    var rng = SeededGenerator(seed: scenario.seed)
    var tracker = Tracker(limits: scenario.trackerLimits)
    tracker.register(Self.package, geometry)
    self.tracker = tracker
    trackerRng = SeededGenerator(seed: rng.next())
    links = LinkSharing(capacities: scenario.capacities, tolerance: model.sharingTolerance)
    holderCounts = Array(repeating: 0, count: geometry.pieceCount)
    watch = RuleWatch(scenario)
    peers.reserveCapacity(scenario.peers.count)
    for (index, plan) in scenario.peers.enumerated() {
      let id = PeerID.random(using: &rng)
      indices[id] = index
      let empty = PieceSet(pieceCount: geometry.pieceCount)
      peers.append(
        PeerActor(
          id: id, plan: plan,
          download: Download(
            package: Self.package, geometry: geometry, held: empty,
            limits: scenario.downloadLimits),
          gate: UploadGate(slotCount: plan.slotCount), rng: SeededGenerator(seed: rng.next()),
          index: IndexTurns(pieceCount: geometry.pieceCount), proven: empty))
    }
    networkRng = SeededGenerator(seed: rng.next())
    unfinishedCount = peers.reduce(0) { $0 + ($1.isExpected ? 1 : 0) }
  }

  mutating func run() -> SimulationReport {
    for index in peers.indices {
      let plan = peers[index].plan
      let opening = latency(from: index, to: origin) * (2 * machine.openingRoundTripCount)
      schedule(
        .arrives(index),
        at: .zero + plan.arrival + plan.startDelay + machine.startTime + opening)
      switch peers[index].plan.conduct {
      case .honest, .lying, .leavingWhenDone: break
      case .leaving(let at), .killed(let at), .frozen(let at):
        schedule(.fails(index), at: .zero + at)
      }
    }
    if let outage = scenario.trackerOutage {
      schedule(.trackerDies, at: .zero + outage.start)
      schedule(.trackerReturns, at: .zero + outage.start + outage.length)
    }
    schedule(.sweeps, at: .zero + Self.sweepTime)
    let end = Instant.zero + scenario.timeMax
    while unfinishedCount > 0, let (instant, event) = agenda.next(), instant <= end {
      now = instant
      eventCount += 1
      deliver(event)
      if links.isDirty { scheduleShare() }
    }
    return summary()
  }

  mutating func schedule(_ event: SimulationEvent, at instant: Instant) {
    agenda.add(event, at: instant)
  }

  mutating func schedule(_ event: SimulationEvent, after duration: Duration) {
    agenda.add(event, at: now + duration)
  }

  mutating func perform(_ event: SimulationEvent) {
    switch event {
    case .arrives(let index): arrive(index)
    case .fails(let index): fail(index)
    case .ticks(let index, let version):
      if peers[index].tickVersion == version { step(index, .ticked) }
    case .announces(let announce, let index): answer(announce, from: index)
    case .refers(let index, let part, let interval):
      step(index, .referred(part, interval: interval))
    case .trackerFails(let index): step(index, .trackerFailed)
    case .checked(let check, let outcome, let epoch): end(check, outcome, epoch: epoch)
    case .trackerDies: tracker = nil
    case .trackerReturns: restartTracker()
    case .follows(let index, let server): startFollowing(index, server: server)
    case .unfollows(let index, let server): stopFollowing(index, server: server)
    // What was verified meanwhile is in it: its news, on an emptier way, may have come before.
    case .opens(let index, let server):
      step(index, .heldBy(peers[server].id, peers[server].download.held))
    case .ends(let index, let server):
      step(index, .haveStreamEnded(peers[server].id, refused: false))
    case .tells(let index): tellNext(index)
    case .news(let index, let message): spread(message, from: index)
    case .newsAside(let index, let follower, let news):
      deliver(.hears(follower, from: index, news))
    case .hears(let index, let server, let news):
      hear(news, at: index, from: peers[server].id)
    case .requests(let place, let id, let run, let isArriving):
      receive(id, run, isArriving: isArriving, at: place)
    case .grows(let place, let id): passOn(place, id)
    case .flows(let place): startFlow(place)
    case .shares: share()
    case .leaves(let place, let version):
      if connections[place.connection].version == version { pieceMayBeOut(place.connection) }
    case .arrivesPiece(let client, let piece, let id, let byteCount, let sender, let isCorrupt):
      if byteCount > 0 { step(client, .progressed(id, byteCount: byteCount)) }
      take(piece, id, at: client, from: sender, isCorrupt: isCorrupt)
    case .wrote(let place, let run, let since): wrote(run, since: since, at: place)
    case .hashed(let client, let piece, let id, let culprit):
      hashed(piece, id, at: client, culprit: culprit)
    case .rejects(let client, let piece, let id, let culprit):
      reject(piece, id, at: client, culprit: culprit)
    case .records(let client): record(client)
    case .recorded(let client, let pieces):
      for item in pieces { verify(item.piece, item.request, at: client) }
    case .finishes(let client, let id, let outcome): finish(id, outcome, at: client)
    case .turns(let index): takeTurn(index)
    case .paces(let index): keepPace(index)
    case .sweeps:
      sweep()
      schedule(.sweeps, after: Self.sweepTime)
    }
  }

  private mutating func arrive(_ index: Int) {
    guard peers[index].life == .absent else { return }
    peers[index].life = .up
    peers[index].startedAt = now
    peers[index].verifiedAt = now
    schedule(.paces(index), after: machine.paceInterval)
    step(index, .started)
  }

  /// Gives an event to a peer's download and performs what it wants.
  mutating func step(_ index: Int, _ event: Download.Event) {
    guard peers[index].life == .up else { return }
    report.decisionCount += 1
    var effects: [Download.Effect] = []
    swap(&effects, &self.effects)
    var rng = peers[index].rng
    peers[index].download.step(event, now: now, rng: &rng, effects: &effects)
    peers[index].rng = rng
    if effects.count > RuleWatch.effectCountMax { violate("a step had \(effects.count) effects") }
    for effect in effects { perform(effect, of: index) }
    effects.removeAll(keepingCapacity: true)
    swap(&effects, &self.effects)
  }

  private func server(_ peer: PeerID) -> Int {
    peer.isOrigin ? origin : indices[peer] ?? origin
  }

  private mutating func perform(_ effect: Download.Effect, of index: Int) {
    trace.add(UInt64(bitPattern: now.nanoseconds), UInt64(index))
    switch effect {
    case .fetch(let id, let peer, let run):
      trace.add(1, id.rawValue, peer.high)
      trace.add(run)
      request(run, id, by: index, at: server(peer))
    case .fetchArriving(let id, let peer, let piece):
      trace.add(7, id.rawValue, peer.high)
      trace.add(UInt64(piece.rawValue))
      request(PieceRun(piece), id, isArriving: true, by: index, at: server(peer))
    case .cancel(let id):
      trace.add(2, id.rawValue)
      cancel(id, of: index)
    case .announce(let report):
      trace.add(3, UInt64(report.wantedPieceCount))
      announce(report, of: index)
    case .follow(let source):
      trace.add(4, source.peer.high)
      let server = server(source.peer)
      // A connection of its own is made first.
      let delay = delay(from: index, to: server) + latency(from: index, to: server) * 2
      schedule(.follows(index, server: server), after: delay)
    case .unfollow(let peer):
      trace.add(5, peer.high)
      let server = server(peer)
      schedule(.unfollows(index, server: server), after: delay(from: index, to: server))
    case .promise(let runs): noteNews(runs.map { .promised($0) }, of: index)
    case .tick(let duration):
      peers[index].tickVersion += 1
      schedule(.ticks(index, version: peers[index].tickVersion), after: duration)
    case .completed:
      trace.add(6)
      peers[index].doneAt = now
      if peers[index].isExpected { unfinishedCount -= 1 }
      if peers[index].plan.conduct == .leavingWhenDone { schedule(.fails(index), at: now) }
    case .gaveUp:
      if peers[index].isExpected {
        if canFinish(index) { violate("peer \(index) gave up") }
        peers[index].hasGivenUp = true
        unfinishedCount -= 1
      }
    }
  }
}
