package import Logging
import Posix
import Synchronization

/// Log lines for an operator, on standard error: `2026-11-21T03:00:00Z info origin: listening addr=…`.
///
/// One `write` a line, so that lines of several threads never mix.
package struct StandardErrorLog: LogHandler {
  package var logLevel: Logger.Level
  package var metadata: Logger.Metadata = [:]
  package var metadataProvider: Logger.MetadataProvider?

  private let label: String

  package init(label: String, level: Logger.Level) {
    self.label = label
    logLevel = level
  }

  /// Makes every `Logger` of this process write here. To be called once, before the first logger.
  package static func bootstrap(level: Logger.Level) {
    LoggingSystem.bootstrap { StandardErrorLog(label: $0, level: level) }
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var line = "\(CalendarTime(secondsSince1970: Clock.wallSeconds())) \(event.level) \(label): "
    line += Self.onOneLine("\(event.message)")
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) {
      line += " \(key)=" + Self.onOneLine("\(value)")
    }
    StandardStream.error.write(line + "\n")
  }

  /// Control characters would let a hostile name forge a line.
  private static func onOneLine(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
      return text
    }
    return String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "?" : $0 }))
  }
}
