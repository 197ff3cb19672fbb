import HTTP
import Operations
import Posix
import Swarm

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
  let hedgesWon: Counter
  let hedgesLost: Counter
  let uploads: Gauge

  private static let hedgeHelp =
    "Second requests for what its first source was late with, by whether they brought it first."

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
    hedgesWon = registry.counter(
      "spate_hedged_requests_total", help: Self.hedgeHelp, labels: [("outcome", "won")])
    hedgesLost = registry.counter(
      "spate_hedged_requests_total", help: Self.hedgeHelp, labels: [("outcome", "lost")])
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

  /// Brings the counts in line with a download's, of which `told` is what they have already.
  func hedged(_ download: borrowing Download, told: inout HedgeOutcomes) {
    guard download.hedges.requestCount > 0 else { return }
    let outcomes = HedgeOutcomes(
      wonCount: download.hedges.wonRequestCount, lostCount: download.lostHedgeCount)
    hedgesWon.add(outcomes.wonCount - told.wonCount)
    hedgesLost.add(outcomes.lostCount - told.lostCount)
    told = outcomes
  }

  func verified(byteCount: Int, fromOrigin: Bool) {
    (fromOrigin ? receivedFromOrigin : receivedFromPeers).add(byteCount)
  }
}

/// How second requests of a download ended.
struct HedgeOutcomes: Equatable, Sendable {
  var wonCount = 0
  var lostCount = 0
}
