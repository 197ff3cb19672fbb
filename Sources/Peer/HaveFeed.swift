import Content
import HTTP
import Posix
import Reactor
import Swarm
import Wire

/// Tells the followers of one package what this node has: a bitmap at first, then frames of what its
/// transfer verified, lost or promises.
///
/// A message costs both ends, and all between them, about as much as a packet full of content,
/// whatever it says. So under load the followers have their turns: a few at a time hear at once, and
/// of everything since they last heard. Where many want what is new here, it spreads from those few.
final class HaveFeed: BodySource {
  static let followerCountMax = 256
  /// One machine may run many peers, but not take every place.
  static let followerCountMaxPerAddress = 64
  /// A follower that reads too slowly is let go.
  static let queuedByteCountMax = 64 * 1024

  /// How long a promised piece may take.
  static let promiseTerm = Duration.seconds(2)

  /// Followers told in one turn.
  static let toldPerTurnCountMax = 4

  private enum News {
    case gained(PieceRun)
    case evicted([PieceRun])
    case promised([PieceRun])
  }

  private struct Follower {
    let connection: ServerConnection
    /// It has heard all news before this.
    var position: Int
  }

  private let loop: EventLoop
  private let pieceCount: Int
  private var followers: [Follower] = []
  /// Whose turn it is.
  private var next = 0
  /// What somebody has not heard, the first of it at `newsStart` of all there ever was.
  private var news: [News] = []
  private var newsStart = 0
  private var lastTurn: Instant?
  /// From one turn to the next.
  var turnInterval = NewsPace.turnIntervals.lowerBound
  private var timer: Timer?
  private var isScheduled = false

  init(_ loop: EventLoop, pieceCount: Int) {
    self.loop = loop
    self.pieceCount = pieceCount
    timer = Timer(loop) { [unowned self] in self.takeTurn() }
  }

  var followerCount: Int { followers.count }
  /// Every follower was told everything.
  var isUpToDate: Bool { news.isEmpty }

  private var newsEnd: Int { newsStart + news.count }

  /// Answers a request for the stream.
  func add(_ connection: ServerConnection, held: PieceSet, promised: [PieceRun]) {
    let fromThere = followers.count { $0.connection.remote.address == connection.remote.address }
    guard followers.count < Self.followerCountMax, fromThere < Self.followerCountMaxPerAddress
    else {
      return connection.respondText(.serviceUnavailable, "too many follow this package here") {
        HeadWriter.field(.retryAfter, 5, to: &$0)
      }
    }
    followers.append(Follower(connection: connection, position: newsEnd))
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

  func gained(_ run: PieceRun) { note(.gained(run)) }
  func evicted(_ runs: [PieceRun]) { note(.evicted(runs)) }
  func promised(_ runs: [PieceRun]) { note(.promised(runs)) }

  /// Says something to everybody, at least that this node is alive.
  func keepAlive() {
    let bytes = HaveFrame.keepAlive.encode()
    for follower in followers where follower.position == newsEnd {
      send(bytes, to: follower.connection)
    }
  }

  private func note(_ item: News) {
    guard !followers.isEmpty else { return }
    news.append(item)
    schedule()
  }

  private func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    let quiet = lastTurn.map { loop.now - $0 } ?? turnInterval
    if quiet >= turnInterval {
      loop.atEndOfTurn(once: { [weak self] in self?.takeTurn() })
    } else {
      timer?.schedule(after: turnInterval - quiet)
    }
  }

  /// Tells the next few that have not heard all.
  private func takeTurn() {
    isScheduled = false
    lastTurn = loop.now
    var told: (position: Int, message: [UInt8])?
    var toldCount = 0
    var seenCount = 0
    while seenCount < followers.count, toldCount < Self.toldPerTurnCountMax {
      if next >= followers.count { next = 0 }
      let position = followers[next].position
      if position < newsEnd {
        // Those who were told together are told together again.
        let message = told?.position == position ? told?.message : nil
        let bytes = message ?? encode(from: position)
        told = (position, bytes)
        followers[next].position = newsEnd
        send(bytes, to: followers[next].connection)
        toldCount += 1
      }
      next += 1
      seenCount += 1
    }
    forgetHeard()
    if !news.isEmpty { schedule() }
  }

  private func forgetHeard() {
    let start = followers.reduce(newsEnd) { min($0, $1.position) }
    news.removeFirst(start - newsStart)
    newsStart = start
  }

  /// All news from a position on, in as few frames as keep their order. A promise may come before
  /// what it was made before.
  private func encode(from position: Int) -> [UInt8] {
    let none = PieceSet(pieceCount: pieceCount)
    var promised: [PieceRun] = []
    var gained = none
    var frames: [UInt8] = []
    for item in news[(position - newsStart)...] {
      switch item {
      case .gained(let run): gained.insert(run)
      case .promised(let runs): promised += runs
      case .evicted(let runs):
        if !gained.isEmpty { frames += HaveFrame.gained(gained.runs).encode() }
        gained = none
        frames += HaveFrame.evicted(runs).encode()
      }
    }
    if !gained.isEmpty { frames += HaveFrame.gained(gained.runs).encode() }
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
    followers.remove(at: index)
    if index < next { next -= 1 }
    forgetHeard()
  }
}
