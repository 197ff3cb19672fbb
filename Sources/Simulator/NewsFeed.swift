import Content

/// Whom one peer tells of its pieces, and what each of them has heard: the turns that a
/// node's have-streams take.
struct NewsFeed: Sendable {
  struct Follower: Sendable {
    let index: Int32
    /// It has heard all news before this.
    var position: Int
  }

  /// What some followers are told at once.
  struct Message: Sendable {
    var followers: [Int32]
    /// Verified lately.
    var gained: [PieceRun]
    /// Soon to be.
    var promised: [PieceRun]
  }

  private(set) var followers: [Follower] = []
  /// Whose turn it is.
  private var next = 0
  /// What somebody has not heard, the first of it at `newsStart` of all there ever was.
  private var news: [(run: PieceRun, isPromise: Bool)] = []
  private var newsStart = 0
  var lastTurn: Instant?
  var isScheduled = false

  /// Everybody has heard everything.
  var isUpToDate: Bool { news.isEmpty }

  private var newsEnd: Int { newsStart + news.count }

  mutating func add(_ index: Int) {
    guard !followers.contains(where: { $0.index == index }) else { return }
    followers.append(Follower(index: Int32(index), position: newsEnd))
  }

  mutating func remove(_ index: Int) {
    guard let place = followers.firstIndex(where: { $0.index == index }) else { return }
    followers.remove(at: place)
    if place < next { next -= 1 }
    forgetHeard()
  }

  mutating func removeAll() {
    followers = []
    next = 0
    forgetHeard()
  }

  mutating func note(_ runs: [PieceRun], isPromise: Bool) {
    guard !followers.isEmpty else { return }
    for run in runs { news.append((run, isPromise)) }
  }

  /// Tells the next few that have not heard all; those who were told together are told together
  /// again.
  mutating func takeTurn(countMax: Int) -> [Message] {
    var messages: [Message] = []
    var known: Int?
    var (toldCount, seenCount) = (0, 0)
    while seenCount < followers.count, toldCount < countMax {
      if next >= followers.count { next = 0 }
      let position = followers[next].position
      if position < newsEnd {
        if known != position { messages.append(message(from: position)) }
        known = position
        messages[messages.count - 1].followers.append(followers[next].index)
        followers[next].position = newsEnd
        toldCount += 1
      }
      next += 1
      seenCount += 1
    }
    forgetHeard()
    return messages
  }

  private func message(from position: Int) -> Message {
    var message = Message(followers: [], gained: [], promised: [])
    for item in news[(position - newsStart)...] {
      if item.isPromise {
        message.promised.append(item.run)
      } else {
        message.gained.append(item.run)
      }
    }
    return message
  }

  private mutating func forgetHeard() {
    let start = followers.reduce(newsEnd) { min($0, $1.position) }
    news.removeFirst(start - newsStart)
    newsStart = start
  }
}
