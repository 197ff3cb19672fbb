import ArgumentParser
import Content
import Logging
import Operations
import Posix
import Wire

/// `ADDR:PORT`, `[ADDR]:PORT`, `:PORT` or `PORT`; without an address, every interface of both
/// versions.
struct ListenArgument: ExpressibleByArgument {
  let endpoint: Endpoint

  static let anyAddress = IPAddress.v6(0, 0)

  init?(argument: String) {
    if let endpoint = Endpoint(argument) {
      self.endpoint = endpoint
    } else {
      let digits = argument.hasPrefix(":") ? argument.dropFirst() : argument[...]
      guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
        let port = UInt16(digits)
      else { return nil }
      endpoint = Endpoint(address: Self.anyAddress, port: port)
    }
  }
}

struct SizeArgument: ExpressibleByArgument {
  let byteCount: Int
  /// As it was written, which is how help shows a default.
  let defaultValueDescription: String

  init?(argument: String) {
    guard let byteCount = Quantities.byteCount(argument), byteCount > 0 else { return nil }
    self.byteCount = byteCount
    defaultValueDescription = argument
  }
}

struct RateArgument: ExpressibleByArgument {
  let byteRate: Int
  /// As it was written, which is how help shows a default.
  let defaultValueDescription: String

  init?(argument: String) {
    guard let byteRate = Quantities.byteRate(argument), byteRate > 0 else { return nil }
    self.byteRate = byteRate
    defaultValueDescription = argument
  }
}

struct DurationArgument: ExpressibleByArgument {
  let duration: Duration
  /// As it was written, which is how help shows a default.
  let defaultValueDescription: String

  init?(argument: String) {
    guard let duration = Quantities.duration(argument) else { return nil }
    self.duration = duration
    defaultValueDescription = argument
  }
}

/// Reads a URL and says what is wrong with it in the words of the one who reads URLs.
func parseURL(_ text: String) throws -> HTTPURL {
  do {
    return try HTTPURL(parsing: text)
  } catch {
    throw ValidationError("\(text): \(error)")
  }
}

struct LogOptions: ParsableArguments {
  @Option(
    name: .customLong("log"),
    help: "How much to log: error, warning, notice, info, debug or trace. [default: info]")
  var level: LogLevelArgument?

  func bootstrap() { StandardErrorLog.bootstrap(level: level?.level ?? .info) }
}

struct LogLevelArgument: ExpressibleByArgument {
  let level: Logger.Level

  init?(argument: String) {
    guard let level = Logger.Level(rawValue: argument) else { return nil }
    self.level = level
  }
}
