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
  package var handshakeTimeout = Duration.seconds(5)
  /// A response that moves less than `stallByteCountMin` for this long ends its connection. What
  /// counts is what the kernel takes, and that comes in steps of up to a megabyte.
  package var stallTimeout = Duration.seconds(60)
  package var stallByteCountMin = 16 * 1024
  package var connectionCountMax = 100_000
  package var connectionCountMaxPerAddress = 20_000
  /// Bytes of pipelined requests held while a response is owed.
  package var pipelinedByteCountMax = 64 * 1024
  /// Response bytes queued in memory before the next pipelined request is looked at.
  package var queuedByteCountMax = 256 * 1024
  /// What the kernel may hold of a plain connection beyond what is in flight; nil for the
  /// transport's own.
  package var unsentByteCountMax: Int32?

  /// What those are told who came too many: some number of these, so that they come back apart.
  package var retryAfterSeconds = 1...10

  package init() {}
}
