import Content
import HTTP
import Posix
import Reactor
import Storage
import Swarm
import Synchronization
import Wire

/// A client that asked for a manifest which is nearly ready: better a moment's wait than a second
/// request.
final class ManifestWait {
  /// What is expected later than this is refused with the time to come back.
  static let durationMax = Duration.seconds(1)
  static let countMax = 1_000
  private static let firstPause = Duration.milliseconds(2)
  private static let pauseMax = Duration.milliseconds(50)

  private unowned let owner: OriginLoop
  private let connection: ServerConnection
  private let file: CachedFile
  private let deadline: Instant
  private var pause = ManifestWait.firstPause
  private var timer: Timer?

  init(_ owner: OriginLoop, _ connection: ServerConnection, _ file: CachedFile) {
    self.owner = owner
    self.connection = connection
    self.file = file
    deadline = owner.loop.now + Self.durationMax
    timer = Timer(owner.loop) { [unowned self] in self.look() }
    timer?.schedule(after: pause)
  }

  private func look() {
    guard connection.isOpen else { return owner.ended(self) }
    let entry = owner.state.catalogue.entry(path: file.path, status: file.status)
    if let entry {
      owner.send(entry, connection)
      owner.ended(self)
    } else if owner.loop.now >= deadline {
      giveUp()
    } else {
      pause = min(pause * 2, Self.pauseMax)
      timer?.schedule(after: pause)
    }
  }

  func giveUp() {
    timer?.cancel()
    if connection.isOpen { owner.sendLater(file, connection, estimate: .zero) }
    owner.ended(self)
  }
}

/// Manifests by the names of their files.
extension OriginLoop {
  private static let retryAfterSecondsMax = 3_600.0

  func serveManifest(
    _ path: Range<Int>, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    metrics.count(.manifest)
    let key = bytes.extracting(path)
    // Always looked at: other loops would have no tree for what this one remembers of a file that
    // was replaced meanwhile.
    if let file = current(key, trust: .zero) { return sendManifest(of: file, connection) }
    do throws(WireError) {
      let target = try RequestTarget(bytes, path)
      switch open(target, key: key) {
      case .file(let file): sendManifest(of: file, connection)
      case .directory, .absent: connection.respondText(.notFound, "no such file")
      case .forbidden: connection.respondText(.forbidden, "this file may not be read")
      case .outOfDescriptors, .failed:
        connection.respondText(.serviceUnavailable, "the file cannot be read now") {
          HeadWriter.field(.retryAfter, 1, to: &$0)
        }
      }
    } catch {
      refuse(error, connection)
    }
  }

  private func sendManifest(of file: CachedFile, _ connection: ServerConnection) {
    if let entry = file.entry { return send(entry, connection) }
    state.catalogue.prioritise(file.path)
    switch state.catalogue.state(of: file.path) {
    case .ready(let entry): send(entry, connection)
    case .unknown: connection.respondText(.notFound, "no such file")
    case .queued(_, let estimate):
      guard estimate < ManifestWait.durationMax, manifestWaits.count < ManifestWait.countMax,
        !state.isDraining.load(ordering: .relaxed)
      else { return sendLater(file, connection, estimate: estimate) }
      let wait = ManifestWait(self, connection, file)
      manifestWaits[ObjectIdentifier(wait)] = wait
    }
  }

  func send(_ entry: CatalogueEntry, _ connection: ServerConnection) {
    state.tracker.withLock { $0.register(entry.id, entry.manifest.geometry) }
    connection.respond(.ok, body: .bytes(entry.manifest.json())) {
      HeadWriter.field(.contentType, ContentType.json, to: &$0)
      HeadWriter.field(.spatePackage, entry.id.hex, to: &$0)
      HeadWriter.field(.cacheControl, "no-cache", to: &$0)
    }
  }

  func sendLater(
    _ file: CachedFile, _ connection: ServerConnection, estimate: Duration
  ) {
    let seconds = min(max(estimate.seconds.rounded(.up), 1), Self.retryAfterSecondsMax)
    connection.respondText(.serviceUnavailable, "the file is being hashed; try again") {
      HeadWriter.field(.retryAfter, Int(seconds), to: &$0)
    }
  }

  func ended(_ wait: ManifestWait) {
    if manifestWaits.removeValue(forKey: ObjectIdentifier(wait)) != nil { loop.bury(wait) }
  }
}
