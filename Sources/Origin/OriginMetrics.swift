import Content
import HTTP
import Operations
import Posix
import Storage
import Swarm
import Synchronization
import Transport

/// What a request was about, for the counters.
enum RequestKind: Int, CaseIterable, Sendable {
  case file, manifest, package, tree, have, announce, referral, metrics, status, health, other

  var label: String { String(describing: self) }
}

/// What one loop counts, so that loops do not contend for a line of cache.
final class LoopMetrics: Sendable {
  let statistics = ServerStatistics()
  private let requests = RequestKind.allCases.map { _ in Counter() }

  func count(_ kind: RequestKind) { requests[kind.rawValue].add() }
  func requestCount(_ kind: RequestKind) -> Int { requests[kind.rawValue].value }
}

/// An origin's numbers. Loops count for themselves; the sums are made when somebody looks.
final class OriginMetrics: Sendable {
  private let registry = MetricRegistry()
  private let loops = Mutex<[LoopMetrics]>([])
  private let summed: Mutex<[Sum]>
  /// Content bytes of responses about packages by id: what peers fetch.
  let packageBytes: Counter
  let announceBytes: Counter
  /// Clients without a peer's name sent to a peer, or told to come back; members of the swarm that
  /// asked for more than the budget.
  let redirects: Counter
  let refusals: Counter
  let budgetRefusals: Counter

  /// A counter of the registry that follows a sum over the loops.
  private struct Sum: Sendable {
    let counter: Counter
    let read: @Sendable (LoopMetrics) -> Int
  }

  init() {
    let registry = registry
    func sum(
      _ name: String, _ help: String, labels: [(String, String)] = [],
      _ read: @escaping @Sendable (LoopMetrics) -> Int
    ) -> Sum {
      Sum(counter: registry.counter(name, help: help, labels: labels), read: read)
    }
    var sums = [
      sum(
        "spate_sent_content_bytes_total",
        "Bytes of files and packages handed to the kernel, without what frames them."
      ) { $0.statistics.contentBytes.value },
      sum("spate_connections_accepted_total", "Connections taken.") {
        $0.statistics.accepted.value
      },
      sum("spate_connections_refused_total", "Connections refused because there were too many.") {
        $0.statistics.refusals.value
      },
      sum("spate_malformed_requests_total", "Requests that were not HTTP, or above a limit.") {
        $0.statistics.malformed.value
      },
      sum("spate_timeouts_total", "Connections ended because they moved too slowly.") {
        $0.statistics.timeouts.value
      },
    ]
    for digit in 1...5 {
      sums.append(
        sum(
          "spate_responses_total", "Responses by class of status.",
          labels: [("class", "\(digit)xx")]
        ) { $0.statistics.responses[digit - 1].value })
    }
    for kind in RequestKind.allCases {
      sums.append(
        sum(
          "spate_requests_total", "Requests by what they were about.",
          labels: [("kind", kind.label)]
        ) { $0.requestCount(kind) })
    }
    summed = Mutex(sums)
    packageBytes = registry.counter(
      "spate_sent_package_bytes_total", help: "Those of them that were asked for by package id.")
    announceBytes = registry.counter(
      "spate_announce_bytes_total", help: "Bytes of announces received.")
    redirects = registry.counter(
      "spate_plain_redirects_total", help: "Clients outside of the swarm that were sent to a peer.")
    refusals = registry.counter(
      "spate_plain_refusals_total", help: "Clients outside of the swarm told to come back later.")
    budgetRefusals = registry.counter(
      "spate_budget_refusals_total",
      help: "Requests of peers beyond the copies that the origin may send.")
  }

  /// Once per loop, before it serves.
  func add(_ loop: LoopMetrics) { loops.withLock { $0.append(loop) } }

  var connectionCount: Int { sum { $0.statistics.connections.value } }
  var sentContentByteCount: Int { sum { $0.statistics.contentBytes.value } }

  private func sum(_ read: (LoopMetrics) -> Int) -> Int {
    loops.withLock { $0.reduce(0) { $0 + read($1) } }
  }

  /// Adds the gauges that are read from the shared state.
  func observe(_ state: OriginState) {
    registry.computed("spate_connections", help: "Connections open now.") { [unowned state] in
      Double(state.metrics.connectionCount)
    }
    registry.computed("spate_uploads_active", help: "Package responses leaving now.") {
      [unowned state] in Double(state.activeUploads.load(ordering: .relaxed))
    }
    registry.computed("spate_uptime_seconds", help: "Since the start.") { [unowned state] in
      (Clock.now() - state.started).seconds.rounded()
    }
    registry.computed("spate_resident_memory_bytes", help: "Memory of the process.") {
      do { return Double(try Process.residentByteCount()) } catch { return .nan }
    }
    if let tls = state.tls {
      for (records, read) in [("kernel", \TLSHandshakes.kernelCount), ("process", \.processCount)] {
        registry.computed(
          "spate_tls_handshakes_total", help: "TLS handshakes so far, by who makes the records.",
          labels: [("records", records)], isCounter: true
        ) { Double(tls.handshakes[keyPath: read]) }
      }
    }
    registry.computed("spate_send_bytes_per_second", help: "Content, over the last second.") {
      [unowned state] in Double(state.sendByteRate.load(ordering: .relaxed))
    }
    registry.computed("spate_plain_active", help: "Counted responses to clients outside the swarm.")
    { [unowned state] in Double(state.plain.activeCount) }
    registry.computed(
      "spate_copies_sent_max", help: "Copies sent to the swarm of the package it was most of."
    ) { [unowned state] in
      state.tracker.withLock { $0.snapshot(listsUse: false) }.packages.map(\.swarmCopies).max() ?? 0
    }
    observeCatalogue(state)
    observeTracker(state)
  }

  private func observeCatalogue(_ state: OriginState) {
    let gauges: [(String, String, @Sendable (CatalogueProgress) -> Int)] = [
      ("spate_catalogue_files", "Regular files under the root.", { $0.fileCount }),
      ("spate_catalogue_hashed_files_total", "Files hashed so far.", { $0.hashedCount }),
      ("spate_catalogue_hashed_bytes_total", "Bytes hashed so far.", { $0.hashedByteCount }),
      ("spate_catalogue_waiting_files", "Files waiting to be hashed.", { $0.waitingCount }),
      ("spate_catalogue_waiting_bytes", "Bytes waiting to be hashed.", { $0.waitingByteCount }),
    ]
    for (name, help, read) in gauges {
      registry.computed(name, help: help, isCounter: name.hasSuffix("_total")) {
        [unowned state] in
        Double(read(state.catalogue.progress))
      }
    }
  }

  private func observeTracker(_ state: OriginState) {
    let gauges: [(String, String, @Sendable (TrackerSnapshot) -> Int)] = [
      ("spate_peers", "Peers in the look-up table.", { $0.peerCount }),
      ("spate_peers_suspended", "Peers kept out of the referrals.", { $0.suspendedPeerCount }),
      ("spate_packages", "Packages in the look-up table.", { $0.packages.count }),
      (
        "spate_peer_bytes_total", "Bytes that peers were reported to have sent each other.",
        { $0.peerByteCount }
      ),
      (
        "spate_leased_pieces", "Pieces handed to one peer each and not yet reported as held.",
        { $0.packages.reduce(0) { $0 + $1.leasedPieceCount } }
      ),
      ("spate_announces_total", "Announces so far.", { Int(clamping: $0.announceCount) }),
      (
        "spate_complaints_total", "Complaints of peers so far.",
        { Int(clamping: $0.complaintCount) }
      ),
      (
        "spate_source_checks_total", "Times a peer was asked because others complained of it.",
        { Int(clamping: $0.checkCount) }
      ),
    ]
    for (name, help, read) in gauges {
      registry.computed(name, help: help, isCounter: name.hasSuffix("_total")) {
        [unowned state] in
        Double(read(state.tracker.withLock { $0.snapshot(listsUse: false) }))
      }
    }
  }

  func prometheusText() -> String {
    // Under the lock, so that two who look at once do not both add a difference.
    summed.withLock { sums in
      for sum in sums { sum.counter.add(self.sum(sum.read) - sum.counter.value) }
    }
    return registry.prometheusText()
  }
}
