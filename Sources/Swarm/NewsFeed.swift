package import Content

/// Something a node tells those who follow it.
package enum News: Hashable, Sendable {
  /// Verified, and served from now on.
  case gained(PieceRun)
  /// Soon to be.
  case promised(PieceRun)
  case evicted(PieceRun)
}

/// Whom a node tells of its pieces, and what each of them has heard. Pure.
///
/// A message of its own costs both ends, and all between them, about as much as a packet full of
/// content, whatever it says. So whoever is sent a request or a response anyway hears the news with
/// that; and in the streams the others have their turns: a few at a time hear at once, and of
/// everything since they last heard. Where many want what is new here, it spreads from those few.
package struct NewsFeed: Sendable {
  /// Followers told in one turn.
  package static let toldPerTurnCountMax = 4
  /// What was said with a request or a response is repeated in the stream within this time: the
  /// other connection may have ended before it was read.
  package static let repeatTime = Duration.seconds(2)
  /// Runs that go with a request or a response. Who has missed more hears of it in the stream.
  package static let asideRunCountMax = 32

  /// What some followers are told at once, in the stream.
  package struct Message: Hashable, Sendable {
    package var followers: [Int32]
    package let news: [News]
  }

  /// What one follower is told beside the stream.
  package struct Aside: Hashable, Sendable {
    /// In ascending order, neither overlapping nor touching.
    package let gained: [PieceRun]
    package let promised: [PieceRun]

    package init(gained: [PieceRun], promised: [PieceRun]) {
      (self.gained, self.promised) = (gained, promised)
    }
  }

  private struct Follower {
    let id: Int32
    /// The stream has told it all news before this.
    var position: Int
    /// It has heard, in one way or the other, all news before this.
    var heard: Int
    var lastHeard: Instant?
    /// Since when it knows something that the stream has not told it.
    var aside: Instant?
  }

  private var followers: [Follower] = []
  /// Whose turn it is.
  private var next = 0
  /// What some stream has not told, the first of it at `newsStart` of all there ever was.
  private var news: [News] = []
  private var newsStart = 0
  private var lastTurn: Instant?

  package init() {}

  /// All streams have told everything.
  package var isUpToDate: Bool { news.isEmpty }
  package var followerCount: Int { followers.count }
  package var followerIDs: [Int32] { followers.map(\.id) }

  private var newsEnd: Int { newsStart + news.count }

  /// - Parameter id: the caller's name for it; one that follows already goes on as it is.
  package mutating func add(_ id: Int32) {
    guard !followers.contains(where: { $0.id == id }) else { return }
    followers.append(Follower(id: id, position: newsEnd, heard: newsEnd))
  }

  package mutating func remove(_ id: Int32) {
    guard let place = followers.firstIndex(where: { $0.id == id }) else { return }
    followers.remove(at: place)
    if place < next { next -= 1 }
    forgetTold()
  }

  package mutating func removeAll() {
    followers = []
    next = 0
    forgetTold()
  }

  package mutating func note(_ item: News) {
    if !followers.isEmpty { news.append(item) }
  }

  // MARK: In the stream

  /// How long until somebody is to be told, nil while all was told.
  /// - Parameter interval: from one turn to the next at least.
  package func delay(now: Instant, interval: Duration) -> Duration? {
    var earliest: Instant?
    for follower in followers where follower.position < newsEnd {
      let due = dueTime(of: follower, now: now, interval: interval)
      earliest = earliest.map { min($0, due) } ?? due
    }
    guard let earliest else { return nil }
    let turn = lastTurn.map { $0 + interval } ?? now
    return max(.zero, max(earliest, turn) - now)
  }

  /// Tells the next few that have not heard all for the time that a round of everybody takes. Those
  /// who were told together are told together again.
  package mutating func takeTurn(now: Instant, interval: Duration) -> [Message] {
    lastTurn = now
    var messages: [Message] = []
    var known: Int?
    var (toldCount, seenCount) = (0, 0)
    while seenCount < followers.count, toldCount < Self.toldPerTurnCountMax {
      if next >= followers.count { next = 0 }
      let follower = followers[next]
      if follower.position < newsEnd, dueTime(of: follower, now: now, interval: interval) <= now {
        if known != follower.position {
          messages.append(
            Message(followers: [], news: Array(news[(follower.position - newsStart)...])))
        }
        known = follower.position
        messages[messages.count - 1].followers.append(follower.id)
        followers[next] = Follower(
          id: follower.id, position: newsEnd, heard: newsEnd, lastHeard: now)
        toldCount += 1
      }
      next += 1
      seenCount += 1
    }
    forgetTold()
    return messages
  }

  private func dueTime(of follower: Follower, now: Instant, interval: Duration) -> Instant {
    let repeated = follower.aside.map { $0 + Self.repeatTime }
    guard follower.heard < newsEnd else { return repeated ?? now }
    let round = interval * (followers.count / Self.toldPerTurnCountMax)
    let due = follower.lastHeard.map { $0 + round } ?? now
    return repeated.map { min($0, due) } ?? due
  }

  private mutating func forgetTold() {
    let start = followers.reduce(newsEnd) { min($0, $1.position) }
    news.removeFirst(start - newsStart)
    newsStart = start
  }

  // MARK: Beside it

  /// What can be said to a follower with something that is sent to it now; nil when it has heard all
  /// or when it is too much. What was evicted is only told in the stream, where it has its place
  /// between what was gained before and after.
  package mutating func takeAside(for id: Int32, now: Instant) -> Aside? {
    guard let place = followers.firstIndex(where: { $0.id == id }),
      followers[place].heard < newsEnd
    else { return nil }
    var gained: [PieceRun] = []
    var promised: [PieceRun] = []
    for item in news[(followers[place].heard - newsStart)...] {
      switch item {
      case .gained(let run): gained.append(run)
      case .promised(let run): promised.append(run)
      case .evicted: return nil
      }
    }
    gained = Self.merged(gained)
    promised = Self.merged(promised)
    guard gained.count + promised.count <= Self.asideRunCountMax else { return nil }
    followers[place].heard = newsEnd
    followers[place].lastHeard = now
    followers[place].aside = followers[place].aside ?? now
    return Aside(gained: gained, promised: promised)
  }

  private static func merged(_ runs: [PieceRun]) -> [PieceRun] {
    var merged: [PieceRun] = []
    for run in runs.sorted(by: { $0.first < $1.first }) {
      if let last = merged.last, run.first.rawValue <= last.end {
        merged[merged.count - 1] = PieceRun(
          first: last.first, count: max(last.end, run.end) - last.first.rawValue)
      } else {
        merged.append(run)
      }
    }
    return merged
  }
}
