import ArgumentParser
import Content
import Peer
import Posix
import Wire

struct PeerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peer",
    abstract: "Keep a cache of an origin's files, serve other peers from it, and local programs.",
    discussion: """
      With --gateway, local programs download through it: curl http://GATEWAY/FILE is the \
      origin's FILE, fetched through the swarm once however many ask.
      """)

  @Option(help: "The origin, as http://HOST:PORT.")
  var origin: String

  @Option(help: "The directory for cached pieces.")
  var cache: String

  @Option(help: "How large the cache may grow, such as 500MB or 20GiB.")
  var cacheLimit = SizeArgument(argument: "10GiB")!

  @Option(help: "ADDR:PORT or PORT to serve other peers on. Port 0 picks one.")
  var listen: [ListenArgument] = []

  @Option(help: "ADDR:PORT or PORT to serve local programs on.")
  var gateway: GatewayArgument?

  @Option(help: "A label for machines that are near each other: NAME or REGION/NAME.")
  var site = ""

  @Option(help: "Uploads to other peers at a time. [default: 5, up to 20 where clients are slow]")
  var maxUploads: Int?

  @Option(help: "Bytes a second to other peers, such as 10MB/s or 100Mbit.")
  var uploadRate: RateArgument?

  @Option(help: "A speed that is enough, such as 10MB/s: no more sources are tried beyond it.")
  var targetSpeed: RateArgument?

  @Option(help: "PEM file of authorities to trust instead of the system's.")
  var ca: String?

  @Flag(help: "Speak TLS with other peers, and only with those that do too.")
  var peerTls = false

  @OptionGroup var log: LogOptions

  func validate() throws {
    guard (1...10_000).contains(maxUploads ?? 1) else {
      throw ValidationError("--max-uploads is between 1 and 10000")
    }
    guard site.utf8.count <= Announce.siteByteCountMax else {
      throw ValidationError("--site has at most \(Announce.siteByteCountMax) bytes")
    }
    _ = try parseURL(origin)
  }

  func run() throws {
    log.bootstrap()
    let anyPort = Endpoint(address: ListenArgument.anyAddress, port: 0)
    var configuration = PeerConfiguration(
      origin: try parseURL(origin), cache: cache,
      listen: listen.isEmpty ? [anyPort] : listen.map(\.endpoint))
    configuration.cacheByteCountMax = cacheLimit.byteCount
    configuration.gateway = gateway?.endpoint
    configuration.site = site
    configuration.uploadCountMax = maxUploads
    configuration.uploadByteRate = uploadRate?.byteRate
    configuration.targetByteRate = targetSpeed?.byteRate
    configuration.authorities = ca
    configuration.speaksTLSAmongPeers = peerTls
    do throws(PeerError) {
      try PeerServer(configuration).run()
    } catch {
      throw fail(error.description)
    }
  }
}

/// Like `--listen`, but a bare port means this machine only: a gateway serves local programs.
struct GatewayArgument: ExpressibleByArgument {
  let endpoint: Endpoint

  init?(argument: String) {
    guard let listen = ListenArgument(argument: argument) else { return nil }
    endpoint =
      Endpoint(argument) == nil
      ? Endpoint(address: .loopback, port: listen.endpoint.port) : listen.endpoint
  }
}
