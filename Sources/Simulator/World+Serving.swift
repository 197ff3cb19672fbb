import Content
import Swarm

/// Requests and responses. Those of one client at one server share a connection and are answered in
/// order.
extension World {
  // MARK: The client asks

  mutating func request(
    _ run: PieceRun, _ id: RequestID, isArriving: Bool = false, by client: Int, at server: Int
  ) {
    let index = connection(from: client, to: server)
    var delay = delay(from: client, to: server) + machine.answerTime
    if connections[index].isCold {
      connections[index].isCold = false
      delay += latency(from: client, to: server) * (2 * model.coldRoundTripCount)
    }
    connections[index].outstandingCount += 1
    peers[client].requests.append((id, Int32(index)))
    watchRequests(of: client)
    schedule(.requests(place(index), id, run, isArriving: isArriving), after: delay)
    if server != origin { tellAside(from: client, to: server) }
  }

  func place(_ index: Int) -> SimulationEvent.Place {
    SimulationEvent.Place(connection: index, epoch: connections[index].epoch)
  }

  private mutating func connection(from client: Int, to server: Int) -> Int {
    for contact in peers[client].contacts where contact.server == Int32(server) {
      return Int(contact.connection)
    }
    var connection = Connection(client: client, server: server)
    if model.sendBufferByteCount > 0 {
      connection.bufferByteCount = Int.random(in: 0...model.sendBufferByteCount, using: &networkRng)
    }
    connections.append(connection)
    peers[client].contacts.append(
      PeerActor.Contact(server: Int32(server), connection: Int32(connections.count - 1)))
    if server == origin {
      originConnections.append(connections.count - 1)
    } else {
      peers[server].served.append(Int32(connections.count - 1))
    }
    return connections.count - 1
  }

  /// What was asked ahead of others is read to its end when little of it is left, or none of it has
  /// come; otherwise its connection is closed.
  mutating func cancel(_ id: RequestID, of client: Int) {
    guard let position = peers[client].requests.firstIndex(where: { $0.id == id }) else { return }
    let index = Int(peers[client].requests.remove(at: position).connection)
    connections[index].outstandingCount -= 1
    let isAlone = connections[index].outstandingCount == 0
    if let place = connections[index].responses.firstIndex(where: { $0.id == id }) {
      advance(index)
      let hasBegun = place == 0 && hasBegun(index)
      if hasBegun ? rest(of: index) > Double(model.discardedByteCountMax) : isAlone {
        close(index)
      } else {
        connections[index].responses[place].isDiscarded = true
      }
    } else if isAlone {
      close(index)
    } else if let place = connections[index].waiting.firstIndex(where: { $0.id == id }) {
      connections[index].waiting[place].isDiscarded = true
    } else {
      connections[index].cancelled.append(id)
    }
  }

  private func hasBegun(_ index: Int) -> Bool {
    let first = connections[index].responses[0]
    return first.sentByteCount > 0
      || first.outcome == .complete
        && connections[index].left + connections[index].heldBack < byteCount(first.next)
  }

  /// Bytes left of the response that is being sent.
  private func rest(of index: Int) -> Double {
    let first = connections[index].responses[0]
    guard !first.isOver else { return 0 }
    return connections[index].left + connections[index].heldBack
      + byteCount(first.next + 1..<first.run.end)
  }

  /// The client closes the connection; its other requests are asked again.
  private mutating func close(_ index: Int) {
    let client = connections[index].client
    for request in peers[client].requests where request.connection == Int32(index) {
      schedule(.finishes(client, request.id, .busy(retryAfter: .zero)), after: .zero)
    }
    drop(index)
  }

  /// The connection is gone, and what was on it.
  mutating func drop(_ index: Int) {
    closeFlow(index)
    for response in connections[index].responses { abandon(response, on: index) }
    connections[index].responses = []
    connections[index].waiting = []
    connections[index].cancelled = []
    connections[index].epoch &+= 1
    connections[index].heldBack = 0
    connections[index].isCold = true
    connections[index].isStarting = false
    if connections[index].server == origin { originLost(index) }
  }

  mutating func abandon(_ response: Connection.Response, on index: Int) {
    let (client, server) = (connections[index].client, connections[index].server)
    guard response.outcome == .complete, !response.isWritten else { return }
    if server == origin {
      originEnded(response, for: client)
    } else {
      release(response.run, since: response.start, of: server, for: client)
    }
  }

  private mutating func release(
    _ run: PieceRun, since start: Instant, of server: Int, for client: Int
  ) {
    let (peer, byteCount) = (peers[client].id, Int(byteCount(run.indices)))
    peers[server].uploadCount -= 1
    peers[server].gate.release(
      peer: peer, byteCount: byteCount, duration: now - start, now: now)
  }

  // MARK: The server answers

  mutating func receive(
    _ id: RequestID, _ run: PieceRun, isArriving: Bool, at place: SimulationEvent.Place
  ) {
    let index = place.connection
    guard connections[index].epoch == place.epoch else { return }
    let (client, server) = (connections[index].client, connections[index].server)
    guard isReachable(server) else {
      schedule(
        .finishes(client, id, .failed), after: latency(from: server, to: client))
      return
    }
    var queued = Connection.Queued(id: id, run: run, isArriving: isArriving)
    if let cancelled = connections[index].cancelled.firstIndex(of: id) {
      connections[index].cancelled.remove(at: cancelled)
      queued.isDiscarded = true
    }
    connections[index].waiting.append(queued)
    readRequests(index)
  }

  private func isReachable(_ server: Int) -> Bool {
    guard server != origin else { return isOriginUp }
    return peers[server].life == .up || peers[server].life == .frozen
  }

  /// The server reads a request when it has handed the response before it to its kernel.
  mutating func readRequests(_ index: Int) {
    let server = connections[index].server
    if server != origin, peers[server].life != .up { return }
    while !connections[index].waiting.isEmpty,
      connections[index].responses.last?.isWritten ?? true
    {
      let queued = connections[index].waiting.removeFirst()
      var response = Connection.Response(
        id: queued.id, run: queued.run, start: now, next: queued.run.first.rawValue,
        isDiscarded: queued.isDiscarded)
      response.isArriving = queued.isArriving && !holds(queued.run, connections[index].server)
      response.outcome = outcome(of: queued, on: index)
      response.isWritten = response.outcome != .complete
      response.bufferByteCount = connections[index].bufferByteCount
      connections[index].responses.append(response)
      if connections[index].responses.count == 1 { begin(index) }
      write(index)
    }
  }

  private func holds(_ run: PieceRun, _ server: Int) -> Bool {
    server == origin || peers[server].download.held.contains(run)
  }

  private mutating func outcome(of queued: Connection.Queued, on index: Int) -> FetchOutcome {
    let (client, server) = (connections[index].client, connections[index].server)
    guard server != origin else { return originOutcome(of: queued.run, for: client, on: index) }
    guard
      holds(queued.run, server)
        || queued.isArriving && isUnderReceipt(queued.run.first, at: server)
    else { return .notHeld }
    switch peers[server].gate.admit(peer: peers[client].id, now: now) {
    case .granted:
      peers[server].uploadCount += 1
      if peers[server].uploadCount > peers[server].gate.uploadCountMax {
        violate("peer \(server) is above its upload limit")
      }
      return .complete
    case .busy(let retryAfter):
      report.refusedRequestCount += 1
      return .busy(retryAfter: retryAfter)
    }
  }

  /// The first response of the connection is its turn.
  mutating func begin(_ index: Int) {
    while let first = connections[index].responses.first, first.outcome != .complete {
      connections[index].responses.removeFirst()
      let (client, server) = (connections[index].client, connections[index].server)
      if server != origin { tellAside(from: server, to: client) }
      if !first.isDiscarded {
        schedule(
          .finishes(client, first.id, first.outcome), after: delay(from: server, to: client))
      }
    }
    guard let first = connections[index].responses.first else { return closeFlow(index) }
    let server = connections[index].server
    if server != origin { tellAside(from: server, to: connections[index].client) }
    if first.isArriving { return beginPassingOn(first, on: index) }
    if connections[index].flow != nil {
      // What was moved beyond the end of the last response belongs to this one.
      connections[index].left += byteCount(first.next)
    } else if !connections[index].isStarting {
      connections[index].left = byteCount(first.next)
      connections[index].isStarting = true
      schedule(.flows(place(index)), after: uplinkQueue(connections[index].server))
    }
  }

  mutating func startFlow(_ place: SimulationEvent.Place) {
    let index = place.connection
    guard connections[index].epoch == place.epoch, connections[index].isStarting else { return }
    connections[index].isStarting = false
    let (client, server) = (connections[index].client, connections[index].server)
    let isFrozen =
      peers[client].life == .frozen || server != origin && peers[server].life == .frozen
    if !isFrozen { openFlow(index) }
  }

  /// Has the server told when its kernel has all of the rest.
  private mutating func write(_ index: Int) {
    guard let last = connections[index].responses.last, !last.isWritten else { return }
    var unsent = 0.0
    for (place, response) in connections[index].responses.enumerated() where !response.isOver {
      unsent +=
        place == 0
        ? connections[index].left + connections[index].heldBack
          + byteCount(response.next + 1..<response.run.end)
        : byteCount(response.run.indices)
    }
    guard unsent <= Double(last.bufferByteCount) || last.isOver else { return }
    connections[index].responses[connections[index].responses.count - 1].isWritten = true
    deliver(.wrote(place(index), last.run, since: last.start))
  }

  /// Frees the slot of a response and reads what was asked behind it.
  mutating func wrote(_ run: PieceRun, since start: Instant, at place: SimulationEvent.Place) {
    let index = place.connection
    let (client, server) = (connections[index].client, connections[index].server)
    if server == origin {
      originSent(run, to: client)
    } else {
      release(run, since: start, of: server, for: client)
    }
    if connections[index].epoch == place.epoch { readRequests(index) }
  }

  /// What has not moved for two sweeps of a node holds no slot any more.
  mutating func lapseUploads() {
    for client in peers.indices where peers[client].life == .frozen {
      guard now - peers[client].frozenAt >= Self.lapseTime else { continue }
      for contact in peers[client].contacts where Int(contact.server) != origin {
        let index = Int(contact.connection)
        guard let last = connections[index].responses.last, !last.isWritten else { continue }
        connections[index].responses[connections[index].responses.count - 1].isWritten = true
        release(
          last.run, since: last.start, of: Int(contact.server), for: client)
      }
    }
  }

  private static var lapseTime: Duration { .seconds(2) }

  // MARK: Bytes leave

  mutating func pieceMayBeOut(_ index: Int) {
    connections[index].dueAt = nil
    advance(index)
    while connections[index].left < 0.5, let first = connections[index].responses.first {
      if connections[index].heldBack > 0 { return closeFlow(index) }
      send(PieceIndex(first.next), of: first, on: index)
      let next = first.next + 1
      connections[index].responses[0].next = next
      connections[index].responses[0].sentByteCount += Int(byteCount(first.next))
      if next < first.run.end { connections[index].left += byteCount(next) }
      write(index)
      if next >= first.run.end {
        connections[index].responses.removeFirst()
        begin(index)
      }
    }
    scheduleLook(index)
  }

  private mutating func send(
    _ piece: PieceIndex, of response: Connection.Response, on index: Int
  ) {
    let (client, server) = (connections[index].client, connections[index].server)
    let untoldByteCount = Int(
      min(max(0, connections[index].movedByteCount), byteCount(piece.rawValue)))
    connections[index].movedByteCount = 0
    let isCorrupt: Bool
    if server == origin {
      originByteCount += byteCount(piece.rawValue)
      watchOrigin()
      isCorrupt = false
    } else {
      peerByteCount += byteCount(piece.rawValue)
      if !peers[server].proven.contains(piece) {
        violate("peer \(server) serves piece \(piece.rawValue), which it has not verified")
      }
      isCorrupt = peers[server].isLiar
      if response.isArriving { report.arrivingPieceCount += 1 }
    }
    guard !response.isDiscarded else { return }
    let delay = latency(from: server, to: client)
    schedule(
      .arrivesPiece(
        client, piece, response.id, byteCount: untoldByteCount, sender: server,
        isCorrupt: isCorrupt),
      after: delay)
    if piece == response.run.last {
      schedule(.finishes(client, response.id, .complete), after: delay)
    }
  }

  func byteCount(_ piece: Int) -> Double { byteCount(piece..<piece + 1) }

  func byteCount(_ pieces: Range<Int>) -> Double {
    guard !pieces.isEmpty else { return 0 }
    let end = min(pieces.upperBound * geometry.pieceByteCount, geometry.byteCount)
    return Double(end - pieces.lowerBound * geometry.pieceByteCount)
  }
}
