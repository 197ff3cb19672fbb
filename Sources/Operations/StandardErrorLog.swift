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

  /// Control characters and line separators would let a hostile name forge a line, or command a
  /// terminal.
  static func onOneLine(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    return String(
      String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? "?" : $0 }))
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case ..<0x20, 0x7f..<0xa0, 0x2028, 0x2029: true
    default: false
    }
  }
}
