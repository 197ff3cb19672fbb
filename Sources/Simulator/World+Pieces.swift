import Content
import Swarm

/// Pieces that came in, and the news of them.
extension World {
  mutating func take(
    _ piece: PieceIndex, _ id: RequestID, at client: Int, from sender: Int, isCorrupt: Bool
  ) {
    // Cancelled while it was on its way.
    guard peers[client].requests.contains(where: { $0.id == id }) else { return }
    step(client, .arrived(piece, id))
    schedule(
      .hashed(client, piece, id, culprit: isCorrupt ? sender : nil), after: machine.verifyTime)
  }

  mutating func reject(_ piece: PieceIndex, _ id: RequestID, at client: Int, culprit: Int) {
    guard peers[client].life == .up else { return }
    report.rejectedPieceCount += 1
    step(client, .rejected(piece, id, culprit: peers[culprit].id))
  }

  mutating func verify(_ piece: PieceIndex, _ id: RequestID, at client: Int) {
    guard peers[client].life == .up else { return }
    // Two requests may have brought it; it counts once.
    let isNew = peers[client].proven.insert(piece)
    if isNew {
      noteStall(client)
      count(piece)
    }
    step(client, .verified(piece, id))
    if isNew { noteNews([.gained(PieceRun(piece))], of: client) }
    if peers[client].download.held.count > peers[client].proven.count {
      violate("peer \(client) holds what was not verified")
    }
  }

  private mutating func count(_ piece: PieceIndex) {
    holderCounts[piece.rawValue] += 1
    guard holderCounts[piece.rawValue] == 1 else { return }
    spreadCount += 1
    if spreadCount == geometry.pieceCount, report.firstCopyTime == 0 {
      report.firstCopyTime = (now - .zero).seconds
    }
    if scenario.originDies, spreadCount == geometry.pieceCount { killOrigin() }
  }

  mutating func finish(_ id: RequestID, _ outcome: FetchOutcome, at client: Int) {
    guard let position = peers[client].requests.firstIndex(where: { $0.id == id }) else { return }
    let index = Int(peers[client].requests.remove(at: position).connection)
    connections[index].outstandingCount -= 1
    step(client, .finished(id, outcome))
  }

  // MARK: News

  mutating func noteNews(_ news: [News], of index: Int) {
    for item in news { peers[index].feed.note(item) }
    scheduleNews(index)
  }

  private mutating func scheduleNews(_ index: Int) {
    guard let delay = peers[index].feed.delay(now: now, interval: peers[index].pace.newsInterval)
    else {
      return
    }
    let due = now + delay
    if let planned = peers[index].plannedNews, planned <= due { return }
    peers[index].plannedNews = due
    schedule(.tells(index), after: delay)
  }

  mutating func tellNext(_ index: Int) {
    // Else it was planned anew.
    guard let planned = peers[index].plannedNews, planned <= now else { return }
    peers[index].plannedNews = nil
    guard peers[index].life == .up else { return }
    let delay = model.latency + uplinkQueue(index)
    let interval = peers[index].pace.newsInterval
    for message in peers[index].feed.takeTurn(now: now, interval: interval) {
      schedule(.news(from: index, message), after: delay)
    }
    scheduleNews(index)
  }

  mutating func spread(_ message: NewsFeed.Message, from index: Int) {
    guard peers[index].life == .up else { return }
    var gained: [PieceRun] = []
    var promised: [PieceRun] = []
    for item in message.news {
      switch item {
      case .gained(let run): gained.append(run)
      case .promised(let run): promised.append(run)
      case .evicted: break
      }
    }
    let news = NewsFeed.Aside(gained: gained, promised: promised)
    for follower in message.followers { deliver(.hears(Int(follower), from: index, news)) }
  }

  mutating func hear(_ news: NewsFeed.Aside, at index: Int, from peer: PeerID) {
    if !news.promised.isEmpty { step(index, .promised(peer, news.promised)) }
    if !news.gained.isEmpty { step(index, .gained(peer, news.gained)) }
  }

  /// What goes with a request or a response to one that follows.
  mutating func tellAside(from index: Int, to follower: Int) {
    guard let news = peers[index].feed.takeAside(for: Int32(follower), now: now) else { return }
    schedule(
      .newsAside(from: index, to: follower, news), after: delay(from: index, to: follower))
  }

  mutating func startFollowing(_ index: Int, server: Int) {
    guard peers[index].life == .up else { return }
    let delay = delay(from: server, to: index)
    switch peers[server].life {
    case .up:
      peers[server].feed.add(Int32(index))
      schedule(.opens(index, server: server), after: delay)
    case .frozen: break
    case .absent, .gone: schedule(.ends(index, server: server), after: delay)
    }
  }

  /// One that has opened another stream since keeps that, whichever word was faster.
  mutating func stopFollowing(_ index: Int, server: Int) {
    let isBack = peers[index].download.followed.contains(peers[server].id)
    if !isBack { peers[server].feed.remove(Int32(index)) }
  }

  /// Tells the clients of slow responses that bytes still come.
  mutating func sweep() {
    watchOriginResponses()
    lapseUploads()
    for index in connections.indices where connections[index].flow != nil {
      advance(index)
      let moved = connections[index].movedByteCount
      guard moved >= 1, let first = connections[index].responses.first, !first.isDiscarded else {
        continue
      }
      connections[index].movedByteCount = 0
      step(connections[index].client, .progressed(first.id, byteCount: Int(moved)))
    }
  }
}
