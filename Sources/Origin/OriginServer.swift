import Content
import Logging
import Posix
import Reactor
import Storage
import Synchronization
import Transport

/// The origin: serves the files under a root by name and by package, keeps their digests, and leads
/// the swarm of those who download them.
package final class OriginServer {
  private let configuration: OriginConfiguration
  private let log = Logger(label: "origin")

  /// Descriptors that are not for connections or held files: databases, pipes, logs.
  private static let reservedDescriptorCount = 64
  private static let cachedFileCountMax = 8_192
  private static let workerCount = 2

  package init(_ configuration: OriginConfiguration) {
    precondition(configuration.loopCount > 0, "somebody serves")
    self.configuration = configuration
  }

  /// Serves until a signal ends it. Prints where it listens on standard output first.
  package func run() throws(OriginError) {
    let state = try makeState()
    state.metrics.observe(state)
    let crew = LoopCrew(state)
    let endpoints = try crew.start(
      on: OriginEndpoints(plain: configuration.listen, tls: configuration.tlsListen))
    for endpoint in endpoints.all {
      StandardStream.output.write("listening on \(endpoint)\n")
    }
    do {
      try state.catalogue.start()
    } catch {
      throw OriginError(error, state: configuration.state)
    }
    log.info(
      "serving",
      metadata: [
        "root": "\(configuration.root)", "loops": "\(configuration.loopCount)",
        "state": "\(configuration.state)",
      ])
    crew.serve()
    state.catalogue.stop()
    state.workers.stop()
    log.info("ended", metadata: ["sent_bytes": "\(state.metrics.sentContentByteCount)"])
  }

  private func makeState() throws(OriginError) -> OriginState {
    let descriptorCount: Int
    do {
      descriptorCount = try Process.setOpenFileLimit()
    } catch {
      throw .system("cannot raise the limit of open files: \(error)")
    }
    let root = try openRoot()
    let workers: WorkerPool
    do {
      workers = try WorkerPool(name: "spate-work", threadCount: Self.workerCount)
    } catch {
      throw .system("cannot start a thread: \(error)")
    }
    let perLoop = (descriptorCount - Self.reservedDescriptorCount) / 4 / configuration.loopCount
    return OriginState(
      configuration, root: root, tls: try openTLS(), peerTLS: try openPeerTLS(),
      catalogue: try openCatalogue(root),
      workers: workers,
      metrics: OriginMetrics(), log: log,
      cachedFileCountMax: min(max(perLoop, 1), Self.cachedFileCountMax))
  }

  private func openRoot() throws(OriginError) -> DirectoryRoot {
    let path = configuration.root
    do {
      guard let status = try FileSystem.statusIfPresent(of: path) else {
        throw OriginError.root(path: path, reason: "there is no such directory")
      }
      guard status.kind == .directory else {
        throw OriginError.root(path: path, reason: "it is not a directory")
      }
      let root = try DirectoryRoot(path: path)
      _ = try root.list("")
      return root
    } catch let error as OriginError {
      throw error
    } catch let error as SystemError {
      throw .root(path: path, reason: OriginError.reason(error))
    } catch {
      preconditionFailure("only these two are thrown: \(error)")
    }
  }

  private func openTLS() throws(OriginError) -> TLSServer? {
    guard !configuration.tlsListen.isEmpty else { return nil }
    for identity in configuration.tlsCertificates {
      for path in [identity.certificateFile, identity.keyFile] {
        do {
          _ = try OpenFile(path: path)
        } catch {
          throw .certificate(reason: "\(path): \(OriginError.reason(error))")
        }
      }
    }
    do {
      return try TLSServer(
        configuration.tlsCertificates.map {
          TLSServer.Identity(certificatePath: $0.certificateFile, keyPath: $0.keyFile)
        })
    } catch {
      throw .certificate(reason: error.description)
    }
  }

  private func openPeerTLS() throws(OriginError) -> TLSClient {
    do {
      return try TLSClient.forPeers()
    } catch {
      throw .system("cannot speak TLS: \(error)")
    }
  }

  private func openCatalogue(_ root: DirectoryRoot) throws(OriginError) -> Catalogue {
    let journal = CatalogueJournal(log)
    do {
      return try Catalogue(
        root: root, state: configuration.state, publisher: configuration.publisher,
        onProgress: { journal.tell($0) },
        onProblem: { journal.tell($0) })
    } catch {
      throw OriginError(error, state: configuration.state)
    }
  }
}

/// What an operator wants to know of the catalogue: that it is at work, now and then how far, and
/// that it is done.
private final class CatalogueJournal: Sendable {
  private struct Told: Sendable {
    var isHashing = false
    var fileCount = -1
    var time = Instant.zero
  }

  private static let interval = Duration.seconds(10)

  private let log: Logger
  private let told = Mutex(Told())

  init(_ log: Logger) { self.log = log }

  func tell(_ progress: CatalogueProgress) {
    let now = Clock.now()
    let shouldTell = told.withLock { told in
      let isNews =
        told.isHashing != progress.isHashing || told.fileCount != progress.fileCount
        || (progress.isHashing && now - told.time >= Self.interval)
      if isNews {
        told = Told(isHashing: progress.isHashing, fileCount: progress.fileCount, time: now)
      }
      return isNews
    }
    guard shouldTell, progress.scanCount > 0 else { return }
    log.info(
      progress.isHashing ? "hashing" : "catalogue is complete",
      metadata: [
        "files": "\(progress.fileCount)", "hashed": "\(progress.hashedCount)",
        "waiting": "\(progress.waitingCount)", "waiting_bytes": "\(progress.waitingByteCount)",
      ])
  }

  func tell(_ problem: CatalogueProblem) {
    log.warning(
      "not in the catalogue", metadata: ["path": "\(problem.path)", "reason": "\(problem.reason)"])
  }
}
