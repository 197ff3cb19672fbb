import Content
import HTTP
import Operations
import Posix
import Reactor
import Storage
import Swarm
import Synchronization
import Wire

/// Serve, refer or refuse: clients that are not of the swarm are served while there is room, then
/// sent to a peer if the operator allows it, else told when to come back.
extension OriginLoop {
  /// Answers with content: at once, at the operator's rate, elsewhere, or not now.
  func sendContent(
    _ plan: ContentPlan, of file: CachedFile, _ head: RequestHead, to peer: PeerID?,
    observer: Upload?, _ connection: ServerConnection
  ) {
    guard head.method == .get, let byteCount = plan.contentByteCount(of: file.representation)
    else {
      return connection.respond(
        plan, with: file.representation, file: file.file, observer: observer)
    }
    var observer: (any ResponseObserver)? = observer
    if peer == nil, limitsPlain || lag.isLagging {
      if case .full(let delay) = room.answer(byteCount: byteCount) {
        turnAway(file, after: delay, connection)
        observer?.responseEnded(on: connection, sentByteCount: 0, isComplete: false)
        return
      }
      if limitsPlain {
        observer = PlainResponse(state.plain, byteCount: byteCount, then: observer)
      }
    }
    guard let pace = state.pace, byteCount > 0 else {
      return connection.respond(
        plan, with: file.representation, file: file.file, observer: observer)
    }
    if file.representation.content != nil {
      // Too small to be cut up: it is sent, and the others wait.
      _ = pace.reserve(byteCount: byteCount, now: loop.now)
      return connection.respond(
        plan, with: file.representation, file: file.file, observer: observer)
    }
    let layout = plan.layout(of: file.representation)
    PacedBody(self, pace, layout, of: file.file, on: connection, observer: observer).start(layout)
  }

  private var limitsPlain: Bool {
    state.configuration.plainCountMax != nil || state.pace != nil
  }

  private var room: OriginRoom {
    let swarmCount = state.activeUploads.load(ordering: .relaxed)
    return OriginRoom(
      byteRate: state.pace?.byteRate,
      queuedByteCount: state.plain.queuedByteCount + swarmCount * Self.runShareByteCount,
      activeCount: state.plain.activeCount, activeCountMax: state.configuration.plainCountMax,
      isLagging: lag.isLagging)
  }

  /// What a response to a member of the swarm counts with: the run of a crowd.
  private static let runShareByteCount = 128 << 10

  private func turnAway(
    _ file: CachedFile, after delay: Duration, _ connection: ServerConnection
  ) {
    if state.configuration.redirectsPlain, !connection.isTLS, let id = file.entry?.id,
      let peer = redirectTarget(id, connection)
    {
      state.metrics.redirects.add()
      return connection.respondText(.temporaryRedirect, "a peer has it") {
        HeadWriter.field(.location, "http://\(peer)/-/package/\(id.hex)", to: &$0)
        HeadWriter.field(.cacheControl, "no-store", to: &$0)
      }
    }
    state.metrics.refusals.add()
    let base = min(Int(delay.seconds.rounded(.up)), Self.retrySecondsMax)
    // Spread, so that those who were refused together do not come back together.
    let seconds = Int.random(in: base...(2 * base + 2), using: &generator)
    connection.respondText(.serviceUnavailable, "the origin is busy") {
      HeadWriter.field(.retryAfter, max(1, seconds), to: &$0)
    }
  }

  private static let retrySecondsMax = 60

  private func redirectTarget(_ id: PackageID, _ connection: ServerConnection) -> Endpoint? {
    let (address, now) = (connection.remote.address, loop.now)
    var generator = generator
    let target = state.tracker.withLock {
      $0.redirectTarget(of: id, for: address, now: now, rng: &generator)
    }
    self.generator = generator
    return target
  }

  /// A member of the swarm asked for what others have, beyond the operator's budget.
  func refuseBeyondBudget(_ connection: ServerConnection) {
    state.metrics.budgetRefusals.add()
    connection.respondText(.serviceUnavailable, "the peers have it") {
      HeadWriter.field(.retryAfter, 1, to: &$0)
      HeadWriter.field(.cacheControl, "no-store", to: &$0)
    }
  }

  // MARK: Whose connection it is

  /// A connection that carries a second request of the same peer is one that it keeps: when the
  /// last of those ends, the peer has gone.
  func note(_ peer: PeerID, on connection: ServerConnection) {
    let key = ObjectIdentifier(connection)
    guard let contact = contacts[key], contact.peer == peer else {
      if let other = contacts.updateValue(PeerContact(peer: peer), forKey: key), other.isCounted {
        state.tracker.withLock { $0.disconnected(other.peer) }
      }
      return
    }
    guard !contact.isCounted else { return }
    let address = connection.remote.address
    contacts[key]?.isCounted = state.tracker.withLock { $0.connected(peer, from: address) }
  }

  func connectionClosed(_ connection: ServerConnection) {
    guard !contacts.isEmpty,
      let contact = contacts.removeValue(forKey: ObjectIdentifier(connection)), contact.isCounted
    else { return }
    state.tracker.withLock { $0.disconnected(contact.peer) }
  }

  // MARK: Responses that stand still

  static let stallCheckInterval = Duration.milliseconds(500)

  func watch(_ upload: Upload) {
    uploads[ObjectIdentifier(upload)] = upload
    guard uploads.count == 1 else { return }
    if stallTimer == nil { stallTimer = Timer(loop) { [unowned self] in self.checkUploads() } }
    stallTimer?.schedule(after: Self.stallCheckInterval)
  }

  private func checkUploads() {
    let now = loop.now
    for upload in Array(uploads.values) {
      guard let peer = upload.peer, let rest = upload.stalledRun(now: now) else { continue }
      state.tracker.withLock { $0.originStalled(rest, of: upload.id, to: peer, now: now) }
    }
    if !uploads.isEmpty { stallTimer?.schedule(after: Self.stallCheckInterval) }
  }
}

/// Which peer speaks on a connection.
struct PeerContact {
  let peer: PeerID
  var isCounted = false
}

/// Gives the room back that a response to a plain client takes.
final class PlainResponse: ResponseObserver {
  private let load: PlainLoad
  private let byteCount: Int
  private let next: (any ResponseObserver)?

  init(_ load: PlainLoad, byteCount: Int, then next: (any ResponseObserver)?) {
    self.load = load
    self.byteCount = byteCount
    self.next = next
    load.start(byteCount: byteCount)
  }

  func responseEnded(on connection: ServerConnection, sentByteCount: Int, isComplete: Bool) {
    load.end(byteCount: byteCount)
    next?.responseEnded(on: connection, sentByteCount: sentByteCount, isComplete: isComplete)
  }
}

/// Notices that a loop comes to its events much too late: two timers in a row, so that a machine
/// that merely slept is not taken for a busy one.
struct LoopLag {
  static let interval = Duration.milliseconds(250)
  private static let lateness = Duration.seconds(1)

  private var due: Instant?
  private var lateCount = 0

  var isLagging: Bool { lateCount >= 2 }

  mutating func ticked(now: Instant) {
    if let due, now - due >= Self.lateness { lateCount += 1 } else { lateCount = 0 }
    due = now + Self.interval
  }
}

extension ContentPlan {
  /// How many bytes of the file go out; nil when none do.
  func contentByteCount(of representation: Representation) -> Int? {
    switch self {
    case .whole: representation.byteCount
    case .range(let range): range.count
    case .ranges(let ranges): ranges.reduce(0) { $0 + $1.count }
    case .notModified, .preconditionFailed, .unsatisfiable: nil
    }
  }
}
