import ArgumentParser
import Content
import Logging
import Operations
import Peer
import Wire

struct GetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Download a file, serving its pieces to others meanwhile.",
    discussion: """
      The file appears under its name only when all of it is verified. Interrupted and run again, \
      it goes on where it was. From a server that is not Spate it downloads by plain HTTP.
      """)

  @Argument(help: "What to download: http://HOST:PORT/FILE.")
  var url: String

  @Option(name: .shortAndLong, help: "The file to write. [default: the URL's last part]")
  var output: String?

  @Option(help: "Keep the pieces in this cache directory afterwards.")
  var cache: String?

  @Option(help: "ADDR:PORT or PORT to serve other peers on. [default: any port]")
  var listen: [ListenArgument] = []

  @Option(help: "A label for machines that are near each other: NAME or REGION/NAME.")
  var site = ""

  @Option(help: "Go on serving others for this long when done, such as 30s or 10m.")
  var seedFor = DurationArgument(argument: "0")!

  @Option(help: "A speed that is enough, such as 10MB/s: no more sources are tried beyond it.")
  var targetSpeed: RateArgument?

  @Option(help: "PEM file of authorities to trust instead of the system's.")
  var ca: String?

  @Flag(help: "Speak TLS with other peers, and only with those that do too.")
  var peerTls = false

  @Flag(help: "Print one JSON object when done.")
  var json = false

  @Option(
    name: .customLong("log"),
    help: "How much to log: error, warning, notice, info, debug or trace. [default: critical]")
  var level: LogLevelArgument?

  func validate() throws {
    guard site.utf8.count <= Announce.siteByteCountMax else {
      throw ValidationError("--site has at most \(Announce.siteByteCountMax) bytes")
    }
    if output == nil, try parseURL(url).fileName == nil {
      throw ValidationError("\(url) names no file; say where to write with -o FILE")
    }
    _ = try parseURL(url)
  }

  func run() throws {
    StandardErrorLog.bootstrap(level: level?.level ?? .critical)
    let anyPort = Endpoint(address: ListenArgument.anyAddress, port: 0)
    var configuration = GetConfiguration(
      url: try parseURL(url), listen: listen.isEmpty ? [anyPort] : listen.map(\.endpoint))
    configuration.output = output
    configuration.cache = cache
    configuration.site = site
    configuration.seedFor = seedFor.duration
    configuration.targetByteRate = targetSpeed?.byteRate
    configuration.authorities = ca
    configuration.speaksTLSAmongPeers = peerTls
    configuration.printsJSON = json
    switch Getter(configuration).run() {
    case .done: return
    case .interrupted: throw ExitStatus.interrupted.error
    case .failed(let reason): throw fail(reason)
    case .unverified(let reason): throw fail(reason, .unverified)
    }
  }
}
