import Foundation
import Glibc
import Logging
import Posix
import Testing

@testable import Operations

@Suite struct LogTests {
  @Test(arguments: [
    ("plain text ✓", "plain text ✓"), ("a\nb", "a?b"), ("a\r\nb", "a??b"), ("\u{1b}[2J", "?[2J"),
    ("\0\t\u{7f}", "???"), ("\u{9b}2J\u{85}", "?2J?"), ("a\u{2028}b\u{2029}", "a?b?"),
    ("é\u{a0}", "é\u{a0}"),
  ])
  func everyTextStaysOnItsLine(text: String, line: String) {
    #expect(StandardErrorLog.onOneLine(text) == line)
  }

  @Test func metadataIsReadBack() {
    var log = StandardErrorLog(label: "test", level: .info)
    log[metadataKey: "peer"] = "1"
    #expect(log[metadataKey: "peer"] == "1")
    #expect(log.logLevel == .info)
  }
}
