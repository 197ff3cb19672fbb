import ArgumentParser
import Content
import Operations
import Posix
import Simulator
import Wire

struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run a swarm in virtual time with the decisions of the real one.",
    discussion: "The same seed gives the same run, down to the trace hash.")

  @Option(help: "How many peers download at once.")
  var peers = 20

  @Option(help: "The package's size, such as 100MiB.")
  var size = SizeArgument(argument: "100MiB")!

  @Option(help: "Each peer's uplink, such as 100Mbit or 10MB/s.")
  var up = RateArgument(argument: "100Mbit")!

  @Option(help: "Each peer's downlink.")
  var down = RateArgument(argument: "100Mbit")!

  @Option(help: "The origin's uplink.")
  var originUp = RateArgument(argument: "100Mbit")!

  @Option(help: "How many of the peers serve flipped bits.")
  var liars = 0

  @Option(help: "The seed.")
  var seed: UInt64 = 1

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...1_000_000).contains(peers) else {
      throw ValidationError("--peers is between 1 and 1000000")
    }
    guard (0..<peers).contains(liars) else {
      throw ValidationError("--liars is less than --peers")
    }
    guard size.byteCount <= Geometry.byteCountMax else {
      throw ValidationError("--size is too large")
    }
  }

  func run() throws {
    var scenario = SimulationScenario()
    scenario.seed = seed
    scenario.byteCount = size.byteCount
    scenario.originUpRate = originUp.byteRate
    scenario.peers = (0..<peers).map { index in
      var peer = SimulatedPeer(upRate: up.byteRate, downRate: down.byteRate)
      if index < liars { peer.conduct = .lying }
      return peer
    }
    let started = Clock.now()
    let report = scenario.run()
    let seconds = (Clock.now() - started).seconds
    StandardStream.output.write(json ? Self.json(report, seconds) : Self.text(report, seconds))
    if !report.violations.isEmpty || report.completedCount < report.expectedCount {
      throw ExitStatus.failed.error
    }
  }

  private static func text(_ report: SimulationReport, _ seconds: Double) -> String {
    let two = { (value: Double) in Quantities.rounded(value, places: 2) }
    let three = { (value: Double) in Quantities.rounded(value, places: 3) }
    var text = "complete    \(report.completedCount) of \(report.expectedCount) honest peers\n"
    text += "bound       \(two(report.fluidBound)) s\n"
    text += "median      \(two(report.medianTime)) s, stretch \(three(report.medianStretch))\n"
    text += "last        \(two(report.lastTime)) s, stretch \(three(report.lastStretch))\n"
    text += "origin      \(three(report.originCopies)) copies\n"
    text += "peers       \(three(report.peerCopies)) copies\n"
    text += "rejected    \(report.rejectedPieceCount) pieces\n"
    text += "decisions   \(report.decisionCount), "
    text +=
      "\(Quantities.rounded(Double(report.decisionCount) / max(seconds, 1e-9), places: 0))/s\n"
    text += "trace       \(String(report.traceHash, radix: 16))\n"
    for violation in report.violations { text += "VIOLATED    \(violation)\n" }
    return text
  }

  private static func json(_ report: SimulationReport, _ seconds: Double) -> String {
    var json = JSONWriter()
    json.object { json in
      json.member("peers", report.peerCount)
      json.member("expected", report.expectedCount)
      json.member("completed", report.completedCount)
      json.member("bound_seconds", report.fluidBound)
      json.member("median_stretch", report.medianStretch)
      json.member("last_stretch", report.lastStretch)
      json.member("origin_copies", report.originCopies)
      json.member("peer_copies", report.peerCopies)
      json.member("rejected", report.rejectedPieceCount)
      json.member("decisions", report.decisionCount)
      json.member("seconds", seconds)
      json.member("trace", String(report.traceHash, radix: 16))
      json.array("violations") { json in
        for violation in report.violations { json.value(violation) }
      }
    }
    return json.text + "\n"
  }
}
