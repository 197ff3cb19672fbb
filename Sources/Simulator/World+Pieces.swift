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
      .decides(client, piece, id, culprit: isCorrupt ? sender : nil), after: model.verifyTime)
  }

  mutating func decide(_ piece: PieceIndex, _ id: RequestID, at client: Int, culprit: Int?) {
    guard peers[client].life == .up else { return }
    if let culprit {
      report.rejectedPieceCount += 1
      step(client, .rejected(piece, id, culprit: peers[culprit].id))
    } else {
      // Two requests may have brought it; it counts once.
      let isNew = peers[client].proven.insert(piece)
      if isNew {
        noteStall(client)
        count(piece)
        peers[client].gained.append(PieceRun(piece))
      }
      step(client, .verified(piece, id))
      if isNew { scheduleNews(client) }
    }
    if peers[client].download.held.count > peers[client].proven.count {
      violate("peer \(client) holds what was not verified")
    }
  }

  private mutating func count(_ piece: PieceIndex) {
    holderCounts[piece.rawValue] += 1
    guard holderCounts[piece.rawValue] == 1 else { return }
    spreadCount += 1
    if scenario.originDies, spreadCount == geometry.pieceCount { killOrigin() }
  }

  mutating func finish(_ id: RequestID, _ outcome: FetchOutcome, at client: Int) {
    guard let position = peers[client].requests.firstIndex(where: { $0.id == id }) else { return }
    let index = Int(peers[client].requests.remove(at: position).connection)
    connections[index].outstandingCount -= 1
    step(client, .finished(id, outcome))
  }

  // MARK: News

  private mutating func scheduleNews(_ index: Int) {
    guard !peers[index].isNewsScheduled else { return }
    let quiet = peers[index].newsAt.map { now - $0 } ?? model.newsInterval
    if quiet >= model.newsInterval {
      flushNews(index)
    } else {
      peers[index].isNewsScheduled = true
      schedule(.flushes(index), after: model.newsInterval - quiet)
    }
  }

  mutating func flushNews(_ index: Int) {
    peers[index].isNewsScheduled = false
    let runs = peers[index].gained
    guard !runs.isEmpty, peers[index].life == .up else { return }
    peers[index].gained = []
    peers[index].newsAt = now
    tell(runs, of: index, isPromise: false)
  }

  /// One message to all followers: they are many, and it takes each about as long.
  mutating func tell(_ runs: [PieceRun], of index: Int, isPromise: Bool) {
    guard !peers[index].followers.isEmpty else { return }
    let delay = model.latency + uplinkQueue(index)
    schedule(.news(from: index, runs, isPromise: isPromise), after: delay)
  }

  mutating func tellFollowers(_ index: Int, _ runs: [PieceRun], isPromise: Bool) {
    guard peers[index].life == .up else { return }
    let peer = peers[index].id
    let event = isPromise ? Download.Event.promised(peer, runs) : .gained(peer, runs)
    // A follower may leave while it is told.
    let followers = peers[index].followers
    for follower in followers { step(Int(follower), event) }
  }

  mutating func startFollowing(_ index: Int, server: Int) {
    guard peers[index].life == .up else { return }
    let delay = delay(from: server, to: index)
    switch peers[server].life {
    case .up:
      if !peers[server].followers.contains(Int32(index)) {
        peers[server].followers.append(Int32(index))
      }
      schedule(.opens(index, server: server), after: delay)
    case .frozen: break
    case .absent, .gone: schedule(.ends(index, server: server), after: delay)
    }
  }

  /// One that has opened another stream since keeps that, whichever word was faster.
  mutating func stopFollowing(_ index: Int, server: Int) {
    let isBack = peers[index].download.followed.contains(peers[server].id)
    if !isBack { peers[server].followers.removeAll { $0 == Int32(index) } }
  }

  /// Tells the clients of slow responses that bytes still come.
  mutating func sweep() {
    watchOriginResponses()
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
