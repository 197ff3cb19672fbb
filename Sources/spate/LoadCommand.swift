import ArgumentParser
import LoadTest
import Posix

struct LoadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Ask a URL over and over and measure the answers.",
    discussion: "Ask only servers that are yours.")

  @Argument(help: "What to ask for: http://HOST:PORT/FILE.")
  var url: String

  @Option(name: .shortAndLong, help: "Connections at a time, each with one request at a time.")
  var connections = 50

  @Option(name: .shortAndLong, help: "For how long, such as 10s or 1m.")
  var duration = DurationArgument(argument: "10s")!

  @Option(name: [.customShort("n"), .long], help: "Stop after this many requests.")
  var requests: Int?

  @Option(help: "PEM file of authorities to trust instead of the system's.")
  var ca: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...LoadConfiguration.connectionCountMax).contains(connections) else {
      throw ValidationError(
        "--connections is between 1 and \(LoadConfiguration.connectionCountMax)")
    }
    guard duration.duration > .zero, duration.duration <= LoadConfiguration.durationMax else {
      throw ValidationError("--duration is at most an hour")
    }
    guard requests ?? 1 > 0 else { throw ValidationError("--requests is at least 1") }
    _ = try parseURL(url)
  }

  func run() throws {
    var configuration = LoadConfiguration(url: try parseURL(url))
    configuration.connectionCount = connections
    configuration.duration = duration.duration
    configuration.requestCountMax = requests
    configuration.authorities = ca
    do throws(LoadError) {
      let report = try LoadRun(configuration).run()
      StandardStream.output.write(json ? report.json : report.text)
    } catch {
      throw fail(error.description)
    }
  }
}
