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
    let tracker = state.tracker.withLock { $0.snapshot() }
    var json = JSONWriter()
    json.object { json in
      json.member("program", "spate")
      json.member("version", state.configuration.version)
      json.member("role", "origin")
      json.member("publisher", state.configuration.publisher)
      json.member("uptime_seconds", (loop.now - state.started).seconds)
      json.member("is_draining", state.isDraining.load(ordering: .relaxed))
      json.member("loops", state.configuration.loopCount)
      json.member("connections", state.metrics.connectionCount)
      json.member("sent_content_bytes", state.metrics.sentContentByteCount)
      json.member("sent_package_bytes", state.metrics.packageBytes.value)
      writeCatalogue(to: &json)
      writeTracker(tracker, to: &json)
    }
    connection.respond(.ok, body: .bytes(json.bytes)) {
      HeadWriter.field(.contentType, ContentType.json, to: &$0)
      HeadWriter.field(.cacheControl, "no-store", to: &$0)
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

  private func writeTracker(_ tracker: TrackerSnapshot, to json: inout JSONWriter) {
    json.object("tracker") { json in
      json.member("peers", tracker.peerCount)
      json.member("suspended_peers", tracker.suspendedPeerCount)
      json.member("announces", Int(clamping: tracker.announceCount))
      json.member("complaints", Int(clamping: tracker.complaintCount))
      json.member("source_checks", Int(clamping: tracker.checkCount))
      json.member("packages", tracker.packages.count)
    }
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
          json.member("announces", Int(clamping: package.announceCount))
        }
      }
    }
  }
}
