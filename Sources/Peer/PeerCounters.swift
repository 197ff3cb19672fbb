import HTTP
import Operations
import Posix

/// What a node counts, by the names its metrics have.
final class PeerCounters: Sendable {
  let registry = MetricRegistry()
  let server = ServerStatistics()
  let sentContentBytes: Counter
  let passedOnBytes: Counter
  let receivedFromOrigin: Counter
  let receivedFromPeers: Counter
  let rejectedPieces: Counter
  let lostPieces: Counter
  let busyRefusals: Counter
  let uploads: Gauge

  init() {
    sentContentBytes = registry.counter(
      "spate_sent_content_bytes_total", help: "Bytes of packages handed to the network.")
    passedOnBytes = registry.counter(
      "spate_passed_on_bytes_total",
      help: "Bytes sent of pieces that were still being received.")
    receivedFromOrigin = registry.counter(
      "spate_verified_bytes_total", help: "Bytes verified, by who sent them.",
      labels: [("source", "origin")])
    receivedFromPeers = registry.counter(
      "spate_verified_bytes_total", help: "Bytes verified, by who sent them.",
      labels: [("source", "peers")])
    rejectedPieces = registry.counter(
      "spate_rejected_pieces_total", help: "Pieces that did not match the tree.")
    lostPieces = registry.counter(
      "spate_evicted_pieces_total", help: "Pieces the cache gave up.")
    busyRefusals = registry.counter(
      "spate_busy_refusals_total", help: "Requests refused at the upload limit.")
    uploads = registry.gauge("spate_uploads", help: "Uploads going on.")
    let server = server
    registry.computed("spate_connections", help: "Connections open.") {
      Double(server.connections.value)
    }
    registry.computed("spate_requests_total", help: "Requests read.") {
      Double(server.requests.value)
    }
    registry.computed("spate_malformed_requests_total", help: "Requests that were not HTTP.") {
      Double(server.malformed.value)
    }
  }

  func verified(byteCount: Int, fromOrigin: Bool) {
    (fromOrigin ? receivedFromOrigin : receivedFromPeers).add(byteCount)
  }
}
