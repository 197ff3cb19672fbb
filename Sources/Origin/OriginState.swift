import Content
import Logging
import Posix
import Reactor
import Storage
import Swarm
import Synchronization
import Transport

/// What all loops of an origin share. Nothing here is locked while a disk or a network is waited for.
final class OriginState: Sendable {
  let configuration: OriginConfiguration
  let root: DirectoryRoot
  /// One for all loops: a session begun on one is resumed on another. Nil without TLS.
  let tls: TLSServer?
  /// For the peers that speak TLS and are asked something.
  let peerTLS: TLSClient
  let catalogue: Catalogue
  let tracker = Mutex(Tracker())
  /// Does what may wait for a disk or takes long: parts of the tree below the piece layer.
  let workers: WorkerPool
  let metrics: OriginMetrics
  let log: Logger
  let started: Instant
  let isDraining = Atomic<Bool>(false)
  /// Responses with package bytes that are leaving now.
  let activeUploads = Atomic<Int>(0)
  /// Files a loop may hold open for later requests.
  let cachedFileCountMax: Int
  private let linksLeadingOut = Mutex<Set<String>>([])

  private static let linksToldCountMax = 1_000

  init(
    _ configuration: OriginConfiguration, root: DirectoryRoot, tls: TLSServer?, peerTLS: TLSClient,
    catalogue: Catalogue, workers: WorkerPool, metrics: OriginMetrics, log: Logger,
    cachedFileCountMax: Int
  ) {
    self.configuration = configuration
    self.root = root
    self.tls = tls
    self.peerTLS = peerTLS
    self.catalogue = catalogue
    self.workers = workers
    self.metrics = metrics
    self.log = log
    self.cachedFileCountMax = cachedFileCountMax
    started = Clock.now()
  }

  func reloadCertificates() {
    guard let tls else { return }
    do {
      try tls.reload()
      log.info("certificates read again")
    } catch {
      log.error("the certificates stay as they were", metadata: ["reason": "\(error)"])
    }
  }

  /// Tells the operator, once for each name.
  func linkLeadsOut(_ path: String) {
    let isNew = linksLeadingOut.withLock { told in
      told.count < Self.linksToldCountMax && told.insert(path).inserted
    }
    if isNew {
      log.info("not served: the link leads out of the root", metadata: ["path": "\(path)"])
    }
  }

  /// Sees to it that the tracker knows the package, if the catalogue does.
  func registerIfKnown(_ id: PackageID) {
    guard !tracker.withLock({ $0.knows(id) }) else { return }
    guard let found = catalogue.package(id) else { return }
    tracker.withLock { $0.register(id, found.entry.manifest.geometry) }
  }
}
