import Content
import HTTP
import Operations
import Posix
import Reactor
import Storage
import Swarm
import Synchronization
import Wire

/// What operators and their tools look at.
extension OriginLoop {
  /// Packages listed one by one in the status; the rest is in the sums.
  private static let listedPackageCountMax = 1_000

  func answerHealth(_ connection: ServerConnection) {
    metrics.count(.health)
    let isDraining = state.isDraining.load(ordering: .relaxed)
    connection.respondText(isDraining ? .serviceUnavailable : .ok, isDraining ? "draining" : "ok")
  }

  func answerMetrics(_ connection: ServerConnection) {
    metrics.count(.metrics)
    connection.respond(.ok, body: .bytes(Array(state.metrics.prometheusText().utf8))) {
      HeadWriter.field(.contentType, ContentType.metrics, to: &$0)
    }
  }

  func answerStatus(_ connection: ServerConnection) {
    metrics.count(.status)
    let now = loop.now
    let (tracker, states) = state.tracker.withLock {
      ($0.snapshot(), $0.peerStateCounts(now: now))
    }
    var json = JSONWriter()
    json.object { json in
      json.member("program", "spate")
      json.member("version", state.configuration.version)
      json.member("role", "origin")
      json.member("publisher", state.configuration.publisher)
      json.member("uptime_seconds", (now - state.started).seconds)
      json.member("is_draining", state.isDraining.load(ordering: .relaxed))
      json.member("loops", state.configuration.loopCount)
      json.member("connections", state.metrics.connectionCount)
      json.member("sent_content_bytes", state.metrics.sentContentByteCount)
      json.member("sent_package_bytes", state.metrics.packageBytes.value)
      json.member("send_bytes_per_second", state.sendByteRate.load(ordering: .relaxed))
      writePolicy(to: &json)
      writeCatalogue(to: &json)
      writeTracker(tracker, states, to: &json)
    }
    connection.respond(.ok, body: .bytes(json.bytes)) {
      HeadWriter.field(.contentType, ContentType.json, to: &$0)
      HeadWriter.field(.cacheControl, "no-store", to: &$0)
    }
  }

  /// What the operator allows, and what it has kept from clients.
  private func writePolicy(to json: inout JSONWriter) {
    let configuration = state.configuration
    json.object("policy") { json in
      if let copies = configuration.copiesMax { json.member("origin_copies", copies) }
      if let rate = configuration.byteRateMax {
        json.member("origin_bytes_per_second", rate)
      }
      if let count = configuration.plainCountMax { json.member("plain_limit", count) }
      json.member("redirects_plain", configuration.redirectsPlain)
      json.member("plain_redirects", state.metrics.redirects.value)
      json.member("plain_refusals", state.metrics.refusals.value)
      json.member("budget_refusals", state.metrics.budgetRefusals.value)
    }
  }

  private func writeCatalogue(to json: inout JSONWriter) {
    let progress = state.catalogue.progress
    json.object("catalogue") { json in
      json.member("files", progress.fileCount)
      json.member("scans", progress.scanCount)
      json.member("hashed_files", progress.hashedCount)
      json.member("hashed_bytes", progress.hashedByteCount)
      json.member("waiting_files", progress.waitingCount)
      json.member("waiting_bytes", progress.waitingByteCount)
      json.member("is_hashing", progress.isHashing)
    }
  }

  private static let mostUsedCountMax = 10

  private func writeMostUsed(_ tracker: TrackerSnapshot, to json: inout JSONWriter) {
    json.array("most_used_packages") { json in
      for package in tracker.mostUsedPackages(countMax: Self.mostUsedCountMax) {
        json.object { json in
          json.member("id", package.package.hex)
          if let found = state.catalogue.package(package.package) {
            json.member("path", found.path)
          }
          json.member("sent_bytes", package.originByteCount)
          json.member("peer_bytes", package.peerByteCount)
        }
      }
    }
    json.array("most_used_peers") { json in
      for peer in tracker.mostUsedPeers {
        json.object { json in
          json.member("peer", peer.peer.description)
          json.member("endpoint", peer.endpoint.description)
          json.member("site", peer.site)
          json.member("served_bytes", peer.servedByteCount)
          json.member("bytes_per_second", peer.byteRate)
        }
      }
    }
  }

  private func writeTracker(
    _ tracker: TrackerSnapshot, _ states: PeerStateCounts, to json: inout JSONWriter
  ) {
    json.object("tracker") { json in
      json.member("peers", tracker.peerCount)
      json.member("away_peers", states.away)
      json.member("down_peers", states.down)
      json.member("suspended_peers", states.suspended)
      json.member("demoted_peers", states.demoted)
      json.member("slow_peers", states.slow)
      json.member("busy_peers", states.busy)
      json.member("announces", Int(clamping: tracker.announceCount))
      json.member("complaints", Int(clamping: tracker.complaintCount))
      json.member("source_checks", Int(clamping: tracker.checkCount))
      json.member("packages", tracker.packages.count)
      json.member("peer_bytes", tracker.peerByteCount)
    }
    writeMostUsed(tracker, to: &json)
    json.array("packages") { json in
      for package in tracker.packages.prefix(Self.listedPackageCountMax) {
        json.object { json in
          json.member("id", package.package.hex)
          json.member("pieces", package.pieceCount)
          json.member("peers", package.memberCount)
          json.member("seeds", package.seedCount)
          json.member("pieces_out", package.heldPieceCount)
          json.member("leased_pieces", package.leasedPieceCount)
          json.member("sent_bytes", package.originByteCount)
          json.member("copies_sent", package.originCopies)
          json.member("swarm_copies_sent", package.swarmCopies)
          json.member("peer_bytes", package.peerByteCount)
          json.member("sites", package.siteCount)
          json.member("announces", Int(clamping: package.announceCount))
        }
      }
    }
  }
}
