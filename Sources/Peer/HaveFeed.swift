import Content
import HTTP
import Posix
import Reactor
import Swarm
import Wire

/// Tells the followers of one package what this node has: a bitmap at first, then frames of what its
/// transfer verified, lost or promises. `NewsFeed` says who is told when.
final class HaveFeed: BodySource {
  static let followerCountMax = 256
  /// One machine may run many peers, but not take every place.
  static let followerCountMaxPerAddress = 64
  /// A follower that reads too slowly is let go.
  static let queuedByteCountMax = 64 * 1024

  /// How long a promised piece may take.
  static let promiseTerm = Duration.seconds(2)

  private struct Follower {
    let id: Int32
    let connection: ServerConnection
    /// The name it gave itself.
    let peer: PeerID?
  }

  private let loop: EventLoop
  private let pieceCount: Int
  private var followers: [Follower] = []
  private var lastID: Int32 = 0
  private var feed = NewsFeed()
  /// From one turn to the next.
  var turnInterval = NewsPace.turnIntervals.lowerBound
  private var timer: Timer?
  /// When the next turn will be taken.
  private var planned: Instant?

  init(_ loop: EventLoop, pieceCount: Int) {
    self.loop = loop
    self.pieceCount = pieceCount
    timer = Timer(loop) { [unowned self] in self.takeTurn() }
  }

  var followerCount: Int { followers.count }
  /// Every follower was told everything.
  var isUpToDate: Bool { feed.isUpToDate }

  /// Answers a request for the stream.
  func add(
    _ connection: ServerConnection, of peer: PeerID?, held: PieceSet, promised: [PieceRun]
  ) {
    let fromThere = followers.count { $0.connection.remote.address == connection.remote.address }
    guard followers.count < Self.followerCountMax, fromThere < Self.followerCountMaxPerAddress
    else {
      return connection.respondText(.serviceUnavailable, "too many follow this package here") {
        HeadWriter.field(.retryAfter, 5, to: &$0)
      }
    }
    lastID &+= 1
    followers.append(Follower(id: lastID, connection: connection, peer: peer))
    feed.add(lastID)
    connection.startStreaming(.ok, length: nil, source: self) {
      HeadWriter.field(.contentType, ContentType.message, to: &$0)
    }
    var opening = HaveFrame.preamble + HaveFrame.bitmap(held).encode()
    if !promised.isEmpty {
      opening += HaveFrame.promised(promised, within: Self.promiseTerm).encode()
    }
    connection.append(opening)
  }

  // MARK: News

  func gained(_ run: PieceRun) { note([.gained(run)]) }
  func evicted(_ runs: [PieceRun]) { note(runs.map { .evicted($0) }) }
  func promised(_ runs: [PieceRun]) { note(runs.map { .promised($0) }) }

  /// What a peer at `address` has not heard yet, if it follows; it goes with what is sent to it now.
  /// A name alone could be anybody's.
  func news(for peer: PeerID, at address: IPAddress) -> HaveField? {
    guard !feed.isUpToDate,
      let follower = followers.last(where: {
        $0.peer == peer && $0.connection.remote.address == address
      })
    else { return nil }
    return feed.takeAside(for: follower.id, now: loop.now).map {
      HaveField(gained: $0.gained, promised: $0.promised)
    }
  }

  /// Says something to everybody, at least that this node is alive.
  func keepAlive() {
    let bytes = HaveFrame.keepAlive.encode()
    if feed.isUpToDate { for follower in followers { send(bytes, to: follower.connection) } }
  }

  private func note(_ news: [News]) {
    for item in news { feed.note(item) }
    schedule()
  }

  private func schedule() {
    guard let delay = feed.delay(now: loop.now, interval: turnInterval) else { return }
    let due = loop.now + delay
    if let planned, planned <= due { return }
    planned = due
    if delay == .zero {
      loop.atEndOfTurn(once: { [weak self] in self?.takeTurn() })
    } else {
      timer?.schedule(after: delay)
    }
  }

  /// Tells those whose turn it is.
  private func takeTurn() {
    planned = nil
    for message in feed.takeTurn(now: loop.now, interval: turnInterval) {
      let bytes = encode(message.news)
      for id in message.followers {
        guard let follower = followers.first(where: { $0.id == id }) else { continue }
        send(bytes, to: follower.connection)
      }
    }
    schedule()
  }

  /// In as few frames as keep their order. A promise may come before what it was made before.
  private func encode(_ news: [News]) -> [UInt8] {
    let none = PieceSet(pieceCount: pieceCount)
    var promised: [PieceRun] = []
    var (gained, evicted) = (none, none)
    var frames: [UInt8] = []
    func flush() {
      if !gained.isEmpty { frames += HaveFrame.gained(gained.runs).encode() }
      if !evicted.isEmpty { frames += HaveFrame.evicted(evicted.runs).encode() }
      (gained, evicted) = (none, none)
    }
    for item in news {
      switch item {
      case .gained(let run):
        if !evicted.isEmpty { flush() }
        gained.insert(run)
      case .promised(let run): promised.append(run)
      case .evicted(let run): evicted.insert(run)
      }
    }
    flush()
    guard !promised.isEmpty else { return frames }
    return HaveFrame.promised(promised, within: Self.promiseTerm).encode() + frames
  }

  private func send(_ bytes: [UInt8], to follower: ServerConnection) {
    if follower.queuedByteCount > Self.queuedByteCountMax {
      follower.close()
    } else {
      follower.append(bytes)
    }
  }

  /// The package is no longer served.
  func end() {
    for follower in followers { follower.connection.endStreaming() }
  }

  func bodyDrained(on connection: ServerConnection) {}

  func bodyClosed(on connection: ServerConnection) {
    guard let index = followers.firstIndex(where: { $0.connection === connection }) else { return }
    feed.remove(followers.remove(at: index).id)
  }
}
