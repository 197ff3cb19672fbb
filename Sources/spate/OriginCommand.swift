import ArgumentParser
import Content
import Digests
import Origin
import Posix

struct OriginCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "origin",
    abstract: "Serve a directory, and lead the swarm of those who download from it.",
    discussion: """
      Any HTTP client can download from it: curl http://HOST:8080/FILE. With `spate get` or \
      `spate peer` the machines that download serve each other.
      """)

  @Argument(help: "The directory to serve.")
  var root: String

  @Option(help: "ADDR:PORT or PORT; may be given several times. Port 0 picks one.")
  var listen: [ListenArgument] = []

  @Option(help: "ADDR:PORT or PORT for TLS.")
  var tlsListen: [ListenArgument] = []

  @Option(
    help: """
      PEM file with the certificate chain; one for each --tls-key. May be given several times: the \
      name a client asks for chooses, the first is for all others. SIGHUP reads them again.
      """)
  var tlsCert: [String] = []

  @Option(help: "PEM file with the private key, in the order of the --tls-cert.")
  var tlsKey: [String] = []

  @Option(help: "Where to keep digests between runs. [default: a directory of the user's]")
  var state: String?

  @Option(help: "Event loops, each on a thread of its own. [default: one a core]")
  var loops: Int?

  @Flag(help: "Answer a directory's name with a list of its files.")
  var listDirectories = false

  @Option(
    help: """
      Send at most this many copies of a package to the swarm while peers hold all of it, such as \
      1.5.
      """)
  var originCopies: Double?

  @Option(help: "Bytes of content a second in all, such as 10MB/s or 100Mbit.")
  var originRate: RateArgument?

  @Option(help: "Responses at a time to clients that are not of the swarm.")
  var maxPlain: Int?

  @Flag(
    help: """
      Send clients that are not of the swarm to a peer when there is no room for them (see \
      --max-plain and --origin-rate). What they get there is not verified.
      """)
  var redirectPlain = false

  @Option(help: "Who the manifests say published the files. [default: this host's name]")
  var publisher: String?

  @OptionGroup var log: LogOptions

  func validate() throws {
    guard tlsCert.count == tlsKey.count else {
      throw ValidationError("--tls-cert and --tls-key come in pairs")
    }
    guard tlsListen.isEmpty || !tlsCert.isEmpty else {
      throw ValidationError("--tls-listen needs --tls-cert and --tls-key")
    }
    if let originCopies {
      guard originCopies.isFinite, (1...1e6).contains(originCopies) else {
        throw ValidationError("--origin-copies is at least 1")
      }
    }
    if let maxPlain {
      guard maxPlain > 0 else { throw ValidationError("--max-plain is at least 1") }
    }
    guard (1...1_024).contains(loops ?? 1) else {
      throw ValidationError("--loops is between 1 and 1024")
    }
  }

  func run() throws {
    log.bootstrap()
    let anywhere = Endpoint(
      address: ListenArgument.anyAddress, port: OriginConfiguration.defaultPort)
    var configuration = OriginConfiguration(
      root: root,
      listen: listen.isEmpty && tlsListen.isEmpty ? [anywhere] : listen.map(\.endpoint),
      state: state ?? StateDirectory.path(forRoot: root), loopCount: loops ?? Machine.coreCount,
      publisher: publisher ?? Machine.hostName)
    configuration.tlsListen = tlsListen.map(\.endpoint)
    configuration.tlsCertificates = zip(tlsCert, tlsKey).map {
      .init(certificateFile: $0, keyFile: $1)
    }
    configuration.listsDirectories = listDirectories
    configuration.copiesMax = originCopies
    configuration.byteRateMax = originRate?.byteRate
    configuration.plainCountMax = maxPlain
    configuration.redirectsPlain = redirectPlain
    configuration.version = Spate.version
    do throws(OriginError) {
      try OriginServer(configuration).run()
    } catch {
      throw fail(error.description)
    }
  }
}

/// Where an origin keeps its digests when nobody says: the user's state directory (XDG Base
/// Directory), one folder for each root.
enum StateDirectory {
  static func path(forRoot root: String) -> String {
    let full: String
    do throws(SystemError) {
      full = try FileSystem.canonicalPath(root)
    } catch {
      // The origin itself says what is wrong with its root.
      full = root
    }
    var hasher = SHA256Stream()
    Array(full.utf8).withUnsafeBytes { hasher.update($0) }
    let name = String(hasher.finish().hex.prefix(16))
    if let state = Process.environmentVariable("XDG_STATE_HOME"), state.hasPrefix("/") {
      return "\(state)/spate/\(name)"
    }
    if let home = Process.environmentVariable("HOME"), home.hasPrefix("/") {
      return "\(home)/.local/state/spate/\(name)"
    }
    return "/var/lib/spate/\(name)"
  }
}
