import Content
import Swarm

/// The swarm in virtual time: the real decisions, a simulated network between them. Requests of one
/// client at one server are answered in order, as on one connection.
struct World {
  struct Queued {
    var request: RequestID
    var run: PieceRun
  }

  /// Bytes of one connection at a time: `isSending` while a response is under way.
  struct Connection {
    var queue: [Queued] = []
    var isSending = false
  }

  static let verifyTime: Duration = .microseconds(200)
  static let sweepTime: Duration = .milliseconds(200)
  static let eventCountMax = 4_000_000
  static let package = PackageID(root: .zero)

  let scenario: SimulationScenario
  let geometry: Geometry
  var now: Instant = .zero
  var agenda = Agenda()
  var tracker: Tracker
  var trackerRng: SeededGenerator
  var network: Network
  var peers: [PeerActor] = []
  /// By client and server; the origin is the server after the last peer.
  var connections: [Connection]
  var completionVersion = 0
  var isShareScheduled = false
  var report = SimulationReport()
  var trace = TraceHash()
  var originByteCount = 0.0
  var peerByteCount = 0.0
  var unfinishedCount = 0

  var origin: Int { peers.count }

  init(_ scenario: SimulationScenario) {
    guard let geometry = Geometry(byteCount: scenario.byteCount) else {
      preconditionFailure("a package has a size")
    }
    self.scenario = scenario
    self.geometry = geometry
    var rng = SeededGenerator(seed: scenario.seed)
    tracker = Tracker(limits: scenario.trackerLimits)
    tracker.register(Self.package, geometry)
    trackerRng = SeededGenerator(seed: rng.next())
    let count = scenario.peers.count
    network = Network(
      upRates: scenario.peers.map { Double($0.upRate) } + [Double(scenario.originUpRate)],
      downRates: scenario.peers.map { Double($0.downRate) } + [0])
    connections = Array(repeating: Connection(), count: count * (count + 1))
    for plan in scenario.peers {
      peers.append(
        PeerActor(
          id: PeerID.random(using: &rng), plan: plan,
          download: Download(
            package: Self.package, geometry: geometry,
            held: PieceSet(pieceCount: geometry.pieceCount), limits: scenario.downloadLimits),
          gate: UploadGate(slotCount: plan.slotCount),
          rng: SeededGenerator(seed: rng.next())))
    }
    unfinishedCount = peers.reduce(0) { $0 + ($1.isExpected ? 1 : 0) }
  }

  mutating func run() -> SimulationReport {
    for index in peers.indices {
      schedule(.arrives(index), at: .zero + peers[index].plan.arrival)
      switch peers[index].plan.conduct {
      case .honest, .lying: break
      case .leaving(let at), .killed(let at), .frozen(let at):
        schedule(.fails(index), at: .zero + at)
      }
    }
    schedule(.sweeps, at: .zero + Self.sweepTime)
    let end = Instant.zero + scenario.timeMax
    while unfinishedCount > 0, let event = agenda.next(), event.instant <= end {
      now = event.instant
      perform(event.kind)
      shareIfDirty()
      if agenda.count > Self.eventCountMax {
        violate("the event queue is bounded")
        break
      }
    }
    return summary()
  }

  mutating func schedule(_ kind: SimulationEvent.Kind, at instant: Instant) {
    agenda.add(kind, at: instant)
  }

  mutating func schedule(_ kind: SimulationEvent.Kind, after duration: Duration) {
    schedule(kind, at: now + duration)
  }

  mutating func violate(_ what: String) {
    if report.violations.count < 20 {
      report.violations.append("\(what), at \(now.nanoseconds) ns")
    }
  }

  private mutating func perform(_ kind: SimulationEvent.Kind) {
    switch kind {
    case .arrives(let index):
      guard peers[index].life == .absent else { return }
      peers[index].life = .up
      step(index, .started)
    case .fails(let index): fail(index)
    case .tells(let index, let event): step(index, event)
    case .ticks(let index, let version):
      if peers[index].tickVersion == version { step(index, .ticked) }
    case .announces(let announce, let index): answer(announce, from: index)
    case .checked(let check, let outcome):
      tracker.checked(check, outcome, now: now)
      beginChecks()
    case .follows(let index, let server): startFollowing(index, server: server)
    case .unfollows(let index, let server): peers[server].followers.removeAll { $0 == index }
    case .requests(let index, let server, let id, let run):
      receive(Queued(request: id, run: run), from: index, at: server)
    case .cancels(let index, let server, let id): abandon(id, of: index, at: server)
    case .shares:
      isShareScheduled = false
      share()
    case .completes(let version):
      if version == completionVersion { complete() }
    case .sweeps:
      sweep()
      schedule(.sweeps, after: Self.sweepTime)
    }
  }

  /// Gives an event to a peer's download and performs what it wants.
  mutating func step(_ index: Int, _ event: Download.Event) {
    guard peers[index].life == .up else { return }
    report.decisionCount += 1
    var effects: [Download.Effect] = []
    var rng = peers[index].rng
    peers[index].download.step(event, now: now, rng: &rng, effects: &effects)
    peers[index].rng = rng
    for effect in effects { perform(effect, of: index) }
  }

  private func server(_ peer: PeerID) -> Int {
    peer.isOrigin ? origin : peers.firstIndex { $0.id == peer } ?? origin
  }

  private mutating func perform(_ effect: Download.Effect, of index: Int) {
    trace.add(UInt64(bitPattern: now.nanoseconds), UInt64(index))
    switch effect {
    case .fetch(let id, let peer, let run):
      trace.add(1, id.rawValue, peer.high)
      trace.add(run)
      let server = server(peer)
      schedule(.requests(index, server: server, id, run), after: scenario.latency)
    case .cancel(let id):
      trace.add(2, id.rawValue)
      for server in 0...origin where server != index {
        let isHere =
          connections[index * (origin + 1) + server].queue.contains { $0.request == id }
          || network.flows.contains {
            $0.client == index && $0.server == server && $0.request == id
          }
        if isHere { schedule(.cancels(index, server: server, id), after: scenario.latency) }
      }
    case .announce(let packageReport):
      trace.add(3, UInt64(packageReport.wantedPieceCount))
      report.announceCount += 1
      let announce = Announce(
        peer: peers[index].id, port: peers[index].plan.serves ? 1_024 : 0, site: "",
        isLeaving: false, uploads: peers[index].gate.load, reports: [packageReport])
      schedule(.announces(announce, from: index), after: scenario.latency)
    case .follow(let source):
      trace.add(4, source.peer.high)
      schedule(.follows(index, server: server(source.peer)), after: scenario.latency)
    case .unfollow(let peer):
      trace.add(5, peer.high)
      schedule(.unfollows(index, server: server(peer)), after: scenario.latency)
    case .promise(let runs):
      for follower in peers[index].followers {
        schedule(.tells(follower, .promised(peers[index].id, runs)), after: scenario.latency)
      }
    case .tick(let duration):
      peers[index].tickVersion += 1
      schedule(.ticks(index, version: peers[index].tickVersion), after: duration)
    case .completed:
      trace.add(6)
      peers[index].doneAt = now
      if peers[index].isExpected { unfinishedCount -= 1 }
    case .gaveUp:
      violate("peer \(index) gave up")
    }
  }

  private mutating func answer(_ announce: Announce, from index: Int) {
    let address = IPAddress.v4(0x0a00_0000 + UInt32(index + 1))
    let referral = tracker.announce(announce, from: address, now: now, rng: &trackerRng)
    guard let part = referral.packages.first else { return }
    for lease in part.leases { trace.add(lease.run) }
    beginChecks()
    schedule(.tells(index, .referred(part, interval: referral.interval)), after: scenario.latency)
  }

  private mutating func startFollowing(_ index: Int, server: Int) {
    let peer = peers[server].id
    switch peers[server].life {
    case .up:
      if !peers[server].followers.contains(index) { peers[server].followers.append(index) }
      schedule(.tells(index, .heldBy(peer, peers[server].download.held)), after: scenario.latency)
    case .frozen:
      break
    case .absent, .gone:
      schedule(.tells(index, .haveStreamEnded(peer, refused: false)), after: scenario.latency)
    }
  }
}
