package import Wire

/// What one server allows its clients. Reaching any of these is answered, never ignored.
package struct ServerLimits: Sendable {
  package var head = HeadLimits()
  /// From the first byte of a head to its last.
  package var headTimeout = Duration.seconds(10)
  /// Between requests.
  package var idleTimeout = Duration.seconds(60)
  /// Between requests while `connectionCountMax` is nearly reached.
  package var idleTimeoutUnderPressure = Duration.seconds(5)
  /// A response that moves no byte for this long ends its connection.
  package var stallTimeout = Duration.seconds(30)
  package var connectionCountMax = 100_000
  package var connectionCountMaxPerAddress = 20_000
  /// Bytes of pipelined requests held while a response is owed.
  package var pipelinedByteCountMax = 64 * 1024
  /// Response bytes queued in memory before the next pipelined request is looked at.
  package var queuedByteCountMax = 256 * 1024

  package init() {}
}
