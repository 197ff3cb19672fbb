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
    if isNew { noteNews([PieceRun(piece)], of: client, isPromise: false) }
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

  mutating func noteNews(_ runs: [PieceRun], of index: Int, isPromise: Bool) {
    peers[index].feed.note(runs, isPromise: isPromise)
    scheduleNews(index)
  }

  private mutating func scheduleNews(_ index: Int) {
    guard !peers[index].feed.isUpToDate, !peers[index].feed.isScheduled else { return }
    peers[index].feed.isScheduled = true
    let interval = peers[index].newsInterval
    let quiet = peers[index].feed.lastTurn.map { now - $0 } ?? interval
    schedule(.tells(index), after: max(.zero, interval - quiet))
  }

  mutating func tellNext(_ index: Int) {
    peers[index].feed.isScheduled = false
    guard peers[index].life == .up else { return }
    peers[index].feed.lastTurn = now
    let delay = model.latency + uplinkQueue(index)
    for message in peers[index].feed.takeTurn(countMax: machine.newsFollowerCountMax) {
      schedule(.news(from: index, message), after: delay)
    }
    scheduleNews(index)
  }

  mutating func spread(_ message: NewsFeed.Message, from index: Int) {
    guard peers[index].life == .up else { return }
    for follower in message.followers { deliver(.hears(Int(follower), from: index, message)) }
  }

  mutating func hear(_ message: NewsFeed.Message, at index: Int, from peer: PeerID) {
    if !message.promised.isEmpty { step(index, .promised(peer, message.promised)) }
    if !message.gained.isEmpty { step(index, .gained(peer, message.gained)) }
  }

  mutating func startFollowing(_ index: Int, server: Int) {
    guard peers[index].life == .up else { return }
    let delay = delay(from: server, to: index)
    switch peers[server].life {
    case .up:
      peers[server].feed.add(index)
      schedule(.opens(index, server: server), after: delay)
    case .frozen: break
    case .absent, .gone: schedule(.ends(index, server: server), after: delay)
    }
  }

  /// One that has opened another stream since keeps that, whichever word was faster.
  mutating func stopFollowing(_ index: Int, server: Int) {
    let isBack = peers[index].download.followed.contains(peers[server].id)
    if !isBack { peers[server].feed.remove(index) }
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
