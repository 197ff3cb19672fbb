package import Wire

/// One load test: who is asked, by how many connections at a time, for how long.
package struct LoadConfiguration: Sendable {
  package static let connectionCountMax = 10_000
  package static let durationMax = Duration.seconds(3_600)

  package var url: HTTPURL
  package var connectionCount = 50
  package var duration = Duration.seconds(10)
  /// Stops after this many responses; nil for as many as the time allows.
  package var requestCountMax: Int?
  package var authorities: String?

  package init(url: HTTPURL) { self.url = url }
}

/// Why a load test could not run, in one line.
package struct LoadError: Error, CustomStringConvertible, Sendable {
  package let description: String

  init(_ description: String) { self.description = description }
}
