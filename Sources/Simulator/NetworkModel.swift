/// What the network between the machines costs beside the rates of its links. The defaults were
/// measured in namespaces with token buckets of 40 to 200 Mbit/s.
package struct NetworkModel: Hashable, Sendable {
  /// One way, between any two machines.
  package var latency: Duration = .microseconds(500)
  /// One way within a site.
  package var siteLatency: Duration = .microseconds(100)
  /// Bytes that wait in front of a full uplink: everything its machine sends comes after them. These
  /// three are means of the buckets' queues, where there was one, which was so for as great a part of
  /// the time as these links are full: 150 to 195 KiB, 300 to 575 and 123 to 185.
  package var uplinkQueueByteCount = 176 << 10
  /// The origin sends on more connections at a time.
  package var originQueueByteCount = 400 << 10
  /// And in front of a full downlink.
  package var downlinkQueueByteCount = 144 << 10
  /// What a sender's kernel takes of a response before it has left: the upload slot is free again
  /// when all the rest is in there. What is unsent is bounded, what is under way is not; it differs
  /// from connection to connection: drawn evenly up to this.
  package var sendBufferByteCount = 128 << 10
  /// Connections do not get equal parts of a full link: weights are drawn between 1 and this.
  package var unfairness = 2.0
  /// Round trips before the first response on a fresh connection comes at its full rate: one to
  /// connect, the others for TCP's slow start.
  package var coldRoundTripCount = 3
  /// Of a cancelled response that has begun, at most this much is still read.
  package var discardedByteCountMax = 128 << 10
  /// Rates are worked out anew at most this often: what changes in between waits so long.
  package var quantum: Duration = .microseconds(100)
  /// See `LinkSharing`.
  package var sharingTolerance = 0.0

  package init() {}

  /// For swarms of thousands: less exact, far less to work out.
  package mutating func coarsen(peerCount: Int) {
    guard peerCount > 500 else { return }
    quantum = .milliseconds(1)
    sharingTolerance = 0.02
  }
}
