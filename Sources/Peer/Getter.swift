import Content
import HTTP
import Logging
import Operations
import Posix
import Reactor
import Storage
import Transport
import Wire

/// `spate get`: a node for as long as one download takes, and `--seed-for` longer.
package final class Getter {
  package enum Outcome: Equatable, Sendable {
    case done
    case interrupted
    case failed(String)
    /// What arrived is not what the origin published.
    case unverified(String)
  }

  /// How long the origin may hash before a download gives up waiting for the manifest.
  private static let hashingPatience = Duration.seconds(3_600)
  private static let progressInterval = Duration.milliseconds(200)

  private let configuration: GetConfiguration
  private let log = Logger(label: "get")
  private let started = Clock.now()
  private var bar: ProgressBar
  private var output = OutputName(path: "", workDirectory: "")
  private var outcome: Outcome?
  private var node: Node?
  private var loop: EventLoop?
  private var transfer: Transfer?
  private var plain: PlainDownload?
  private var progress: Timer?
  private var isPublished = false

  package init(_ configuration: GetConfiguration) {
    self.configuration = configuration
    bar = ProgressBar(on: .error)
  }

  /// Downloads, blocks until it is done.
  package func run() -> Outcome {
    do throws(PeerError) {
      output = try OutputName(configuration)
      let loop = try Node.makeLoop()
      self.loop = loop
      let origin = try Node.address(
        of: configuration.url, authorities: configuration.authorities)
      var settings = Node.Settings(
        listen: configuration.listen, cache: configuration.cache ?? output.workDirectory)
      settings.site = configuration.site
      settings.speaksTLS = configuration.speaksTLSAmongPeers
      settings.targetByteRate = configuration.targetByteRate
      let node = try Node(
        loop, origin: origin, settings: settings, counters: PeerCounters(), log: log)
      self.node = node
      node.onWait = { [unowned self] in
        bar.note("waiting for \(configuration.url.authority): \($0)")
      }
      do throws(PeerError) {
        _ = try node.listen()
        try stopOnSignals(loop, node)
      } catch {
        closeAfterFailure(node)
        throw error
      }
      askForManifest(ManifestLoader(node), node)
      loop.run()
      bar.clear()
      let result = outcome ?? .failed("the download ended without a result")
      guard result == .done else {
        closeAfterFailure(node)
        return result
      }
      try close(node)
      return result
    } catch {
      bar.clear()
      return Self.outcome(of: error)
    }
  }

  private func closeAfterFailure(_ node: Node) {
    do throws(PeerError) {
      try close(node)
    } catch {
      log.error("\(error)")
    }
  }

  /// The work directory goes when there is nothing in it to go on with.
  private func close(_ node: Node) throws(PeerError) {
    let isOfUse = !isPublished && (!node.store.packages().isEmpty || plain?.hasPart == true)
    let keepsCache = configuration.cache != nil
    if !isOfUse { try plain?.discardPart(removingDirectory: keepsCache) }
    do throws(StorageError) {
      try node.close(removingStore: !keepsCache && !isOfUse)
    } catch {
      throw error.asPeerError
    }
  }

  // MARK: The swarm

  private func askForManifest(_ loader: ManifestLoader, _ node: Node) {
    loader.load(configuration.url.path) { [self] answer in
      switch answer {
      case .manifest(let manifest): open(manifest, node)
      case .notReady(let delay):
        guard Clock.now() - started < Self.hashingPatience else {
          return end(.failed("the origin has not hashed the file within an hour"))
        }
        bar.note("the origin is hashing the file")
        node.after(min(delay, .seconds(2))) { [self] in askForManifest(loader, node) }
      case .notFound: end(.failed("\(configuration.url): 404 Not Found"))
      case .notSpate: downloadPlainly(node)
      case .refused(let status): end(.failed("\(configuration.url): the origin said \(status)"))
      case .unreachable(let reason):
        end(.failed("cannot reach \(configuration.url.authority): \(reason)"))
      case .malformed(let reason): end(.failed("the origin's manifest is malformed: \(reason)"))
      }
    }
  }

  private func open(_ manifest: Manifest, _ node: Node) {
    node.opening.open(manifest) { [self] result in
      switch result {
      case .success(let transfer):
        self.transfer = transfer
        transfer.add(self)
        showProgress()
        switch transfer.outcome {
        case .ongoing: break
        case .complete: transferCompleted(transfer)
        case .failed(let error): end(Self.outcome(of: error))
        }
      case .failure(let error):
        end(Self.outcome(of: error))
      }
    }
  }

  private func showProgress() {
    guard let loop, let transfer, outcome == nil, !isPublished else { return }
    bar.show(
      done: transfer.heldByteCount, total: transfer.geometry.byteCount,
      fromPeers: transfer.tally.fromPeersByteCount, fromOrigin: transfer.tally.fromOriginByteCount,
      now: loop.now)
    if progress == nil { progress = Timer(loop) { [unowned self] in self.showProgress() } }
    progress?.schedule(after: Self.progressInterval)
  }

  private func publish(_ transfer: Transfer, _ node: Node) {
    let (stored, path, keepsCopy) = (transfer.stored, output.path, configuration.cache != nil)
    node.offLoop.run {
      Result { () throws(StorageError) in
        if keepsCopy {
          try stored.export(to: path)
        } else {
          try stored.publish(as: path)
        }
      }
    } then: { [self] (result: Result<Void, StorageError>) in
      switch result {
      case .success:
        isPublished = true
        bar.clear()
        summarize(GetSummary(transfer, path: path, duration: Clock.now() - started))
        seed(node)
      case .failure(let error): end(.failed("\(error)"))
      }
    }
  }

  private func summarize(_ summary: GetSummary) {
    StandardStream.output.write(configuration.printsJSON ? summary.json : summary.line)
  }

  private func seed(_ node: Node) {
    guard configuration.seedFor > .zero else { return end(.done) }
    node.after(configuration.seedFor) { [self] in end(.done) }
  }

  // MARK: Other servers

  private func downloadPlainly(_ node: Node) {
    bar.note("\(configuration.url.authority) is not a Spate origin: downloading by plain HTTP")
    let download = PlainDownload(
      configuration.url, directory: output.workDirectory, authorities: configuration.authorities,
      bar: bar, on: node)
    plain = download
    download.start { [self] result in
      switch result {
      case .success(let part):
        do throws(PeerError) {
          try part.publish(as: output.path)
          isPublished = true
          bar.clear()
          summarize(GetSummary(part, path: output.path, duration: Clock.now() - started))
          end(.done)
        } catch {
          end(.failed("\(error)"))
        }
      case .failure(let error): end(.failed("\(error)"))
      }
    }
  }

  // MARK: The end

  private func stopOnSignals(_ loop: EventLoop, _ node: Node) throws(PeerError) {
    do throws(SystemError) {
      for number in [SignalDescriptor.terminate, SignalDescriptor.interrupt] {
        let signal = try Signal(loop, number) { [unowned self] in
          if outcome != nil { return loop.stop() }
          // What was to be done is done; only the seeding is cut short.
          if isPublished { return end(.done) }
          bar.clear()
          StandardStream.error.write("spate: interrupted; run it again to go on\n")
          end(.interrupted)
        }
        node.keep(signal)
      }
    } catch {
      throw PeerError("cannot watch signals: \(error)")
    }
  }

  private func end(_ outcome: Outcome) {
    guard self.outcome == nil else { return }
    self.outcome = outcome
    progress?.cancel()
    guard let node, let loop else { return }
    guard transfer != nil else { return loop.stop() }
    node.shutDown { loop.stop() }
  }
}

extension Getter: TransferObserver {
  func transferGrew(_ transfer: Transfer) {}

  func transferCompleted(_ transfer: Transfer) {
    guard let node, outcome == nil, !isPublished else { return }
    publish(transfer, node)
  }

  func transferFailed(_ transfer: Transfer, _ error: PeerError) { end(Self.outcome(of: error)) }

  private static func outcome(of error: PeerError) -> Outcome {
    error.isUnverified ? .unverified("\(error)") : .failed("\(error)")
  }
}
