import ArgumentParser
import Content
import Operations
import Posix
import Simulator
import Swarm

struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run a swarm in virtual time with the decisions of the real one.",
    discussion: """
      Links are shared max-min fairly; what waits in front of them, fresh connections, verifying and \
      the news of pieces take time as they do in real runs. The same options and seed give the same \
      run, down to the trace hash. Rules are checked at every step: a broken one, or an honest peer \
      that does not finish, is printed with seed and step, and the exit code is 1.

      Shares are between 0 and 1 and each is of the peers that do not lie; who it is, and when, \
      follows from the seed. "In the middle" is between a tenth and nine tenths of the least time \
      that the swarm needs.
      """)

  @Option(help: "How many peers download at once.")
  var peers = 20

  @Option(help: "The package's size, such as 100MiB.")
  var size = SizeArgument(argument: "100MiB")!

  @Option(help: "The size of its pieces, a power of two of at least 16KiB. [default: by the size]")
  var piece: SizeArgument?

  @Option(help: "Each peer's uplink, such as 100Mbit or 10MB/s.")
  var up = RateArgument(argument: "100Mbit")!

  @Option(help: "Each peer's downlink.")
  var down = RateArgument(argument: "100Mbit")!

  @Option(
    help: ArgumentHelp(
      "Instead of --up and --down: links of several rates, each those of equally many peers.",
      valueName: "rate,..."))
  var rates: RateList?

  @Option(help: "The origin's uplink.")
  var originUp = RateArgument(argument: "100Mbit")!

  @Option(
    help: """
      Copies that the origin may send while peers hold all of it, as of `spate origin`. \
      [default: no limit]
      """)
  var originCopies: Double?

  @OptionGroup(title: "Places and times")
  var places: PlaceOptions

  @OptionGroup(title: "What goes wrong")
  var faults: FaultOptions

  @Option(help: "The seed.")
  var seed: UInt64 = 1

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...1_000_000).contains(peers) else {
      throw ValidationError("--peers is between 1 and 1000000")
    }
    guard size.byteCount <= Geometry.byteCountMax else {
      throw ValidationError("--size is too large")
    }
    guard geometry != nil else {
      throw ValidationError(
        "--piece is a power of two of at least 16KiB, and a package has at most"
          + " \(Geometry.pieceCountMax) pieces")
    }
    if let originCopies, !(1...1e6).contains(originCopies) {
      throw ValidationError("--origin-copies is at least 1")
    }
    try places.validate(peerCount: peers)
    try faults.validate(peerCount: peers)
  }

  private var geometry: Geometry? {
    guard let piece else { return Geometry(byteCount: size.byteCount) }
    return Geometry(byteCount: size.byteCount, pieceByteCount: piece.byteCount)
  }

  func run() throws {
    guard let geometry else { throw ExitStatus.usage.error }
    var scenario = SimulationScenario(geometry: geometry)
    scenario.seed = seed
    scenario.originUpRate = originUp.byteRate
    scenario.trackerLimits.originCopiesMax = originCopies
    var plan = SwarmPlan()
    plan.peerCount = peers
    plan.upRate = up.byteRate
    plan.downRate = down.byteRate
    plan.rates = rates?.byteRates ?? []
    places.apply(to: &scenario, &plan)
    faults.apply(to: &scenario, &plan)
    scenario.network.coarsen(peerCount: peers)
    plan.apply(to: &scenario)
    guard scenario.peers.contains(where: \.isExpected) else {
      throw fail("with these shares nobody is left to finish", .usage)
    }
    let started = Clock.now()
    let report = scenario.run()
    let cost = SimulationCost(
      seconds: (Clock.now() - started).seconds, peakByteCount: try Process.peakByteCount())
    StandardStream.output.write(json ? report.json(cost) : report.text(cost))
    if !report.violations.isEmpty || report.failedCount > 0 { throw ExitStatus.failed.error }
  }
}

struct PlaceOptions: ParsableArguments {
  @Option(help: "One way between two machines.")
  var latency = DurationArgument(argument: "0.5ms")!

  @Option(
    help: ArgumentHelp(
      "Spread the peers over this many sites, near inside; with a rate, each site has a link of it"
        + " to the others and the origin, both ways.", valueName: "count[:rate]"))
  var sites: CountAndRate?

  @Option(
    help: ArgumentHelp(
      "Share of peers with slow links, and their rate [default: a tenth of the others'].",
      valueName: "share[:rate]"))
  var slow: ShareAndRate?

  @Option(help: "Peers that come in a second, at random. [default: all are there from the start]")
  var arrivals: Double?

  @Option(
    help: """
      From the start of one peer's process to that of the next; its time counts from when the first \
      one's does. [default: 10ms for up to 50 peers, as on one machine, which all are there from the \
      start; else 0s]
      """)
  var stagger: DurationArgument?

  func validate(peerCount: Int) throws {
    if let sites, sites.count > peerCount {
      throw ValidationError("--sites is at most --peers")
    }
    if let arrivals, !(arrivals > 0 && arrivals <= 1e6) {
      throw ValidationError("--arrivals is above 0 and at most 1000000 a second")
    }
  }

  /// So many are often started by one script, whose processes start one after another: 9 to 13 ms
  /// apart on two cores.
  private static let oneMachinePeerCountMax = 50
  private static let oneMachineStagger: Duration = .milliseconds(10)

  private func isOneMachine(_ plan: SwarmPlan) -> Bool {
    arrivals == nil && plan.peerCount <= Self.oneMachinePeerCountMax
  }

  func apply(to scenario: inout SimulationScenario, _ plan: inout SwarmPlan) {
    scenario.network.latency = latency.duration
    scenario.network.siteLatency = min(scenario.network.siteLatency, latency.duration)
    plan.siteCount = sites?.count ?? 1
    scenario.siteRate = sites?.byteRate
    plan.slowShare = slow?.share ?? 0
    plan.slowRate = slow?.byteRate ?? max(1, min(plan.upRate, plan.downRate) / 10)
    plan.arrivalRate = arrivals
    plan.stagger = stagger?.duration ?? (isOneMachine(plan) ? Self.oneMachineStagger : .zero)
  }
}

struct FaultOptions: ParsableArguments {
  @Option(help: "Share of peers that are killed in the middle.")
  var churn = 0.0

  @Option(help: "Share of peers that leave as soon as they have all.")
  var leave = 0.0

  @Option(help: "Share of peers that stop in the middle and keep their connections open.")
  var frozen = 0.0

  @Option(help: "How many of the peers serve flipped bits.")
  var liars = 0

  @Option(
    help: ArgumentHelp(
      "The tracker is gone from this moment for so long; the one that comes then knows nothing.",
      valueName: "from:for"))
  var trackerDown: SpanArgument?

  @Flag(help: "The origin is gone once the peers together hold every piece.")
  var originDies = false

  @Option(help: "More copies from the origin than this break a rule. [default: no limit]")
  var copiesMax: Double?

  func validate(peerCount: Int) throws {
    guard (0..<peerCount).contains(liars) else {
      throw ValidationError("--liars is less than --peers")
    }
    for (name, share) in [("churn", churn), ("leave", leave), ("frozen", frozen)] {
      guard (0...1).contains(share) else {
        throw ValidationError("--\(name) is between 0 and 1")
      }
    }
    guard churn + leave + frozen <= 1 else {
      throw ValidationError("--churn, --leave and --frozen together are at most 1")
    }
    if let copiesMax, !(copiesMax >= 1) { throw ValidationError("--copies-max is at least 1") }
  }

  func apply(to scenario: inout SimulationScenario, _ plan: inout SwarmPlan) {
    plan.killedShare = churn
    plan.leavingShare = leave
    plan.frozenShare = frozen
    plan.liarCount = liars
    scenario.trackerOutage = trackerDown.map {
      SimulationScenario.Outage(start: $0.start, length: $0.length)
    }
    scenario.originDies = originDies
    scenario.originCopiesMax = copiesMax
  }
}
