import ArgumentParser
import Operations
import Posix

@main
struct Spate: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "spate",
    abstract: "Hand large files from one origin to many machines that serve each other.",
    version: version,
    subcommands: [
      OriginCommand.self, PeerCommand.self, GetCommand.self, LoadCommand.self,
      DigestCommand.self, SimulateCommand.self,
    ])

  static func main() {
    do {
      try Process.prepare()
      var command = try parseAsRoot()
      try command.run()
    } catch {
      leave(after: error)
    }
  }

  /// Usage errors exit with 2, as shells and the design of this command line have it.
  private static func leave(after error: any Error) -> Never {
    let code = exitCode(for: error)
    let message = fullMessage(for: error)
    if code == .validationFailure {
      if !message.isEmpty { StandardStream.error.write(message + "\n") }
      Process.exit(ExitStatus.usage.rawValue)
    }
    if !message.isEmpty {
      if code.isSuccess {
        StandardStream.output.write(message + "\n")
      } else {
        StandardStream.error.write(message + "\n")
      }
    }
    Process.exit(code.rawValue)
  }
}

/// What a `spate` process says to its parent when it ends.
enum ExitStatus: Int32 {
  case done = 0
  case failed = 1
  case usage = 2
  case unverified = 3
  case interrupted = 130

  var error: ExitCode { ExitCode(rawValue) }
}

/// One line for the person at the terminal, then the exit status.
func fail(_ message: String, _ status: ExitStatus = .failed) -> ExitCode {
  StandardStream.error.write("spate: \(message)\n")
  return status.error
}
