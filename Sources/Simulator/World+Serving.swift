import Content
import Swarm

/// Requests, responses and what breaks them.
extension World {
  func connectionIndex(_ client: Int, _ server: Int) -> Int { client * (origin + 1) + server }

  mutating func receive(_ queued: Queued, from client: Int, at server: Int) {
    if server != origin, peers[server].life == .gone || peers[server].life == .absent {
      tell(client, .finished(queued.request, .failed))
      return
    }
    connections[connectionIndex(client, server)].queue.append(queued)
    serveNext(client, server)
  }

  private mutating func tell(_ client: Int, _ event: Download.Event) {
    schedule(.tells(client, event), after: scenario.latency)
  }

  private mutating func serveNext(_ client: Int, _ server: Int) {
    let index = connectionIndex(client, server)
    if server != origin, peers[server].life != .up { return }
    while !connections[index].isSending, !connections[index].queue.isEmpty {
      let queued = connections[index].queue.removeFirst()
      if server != origin {
        guard peers[server].download.held.contains(queued.run) else {
          tell(client, .finished(queued.request, .notHeld))
          continue
        }
        switch peers[server].gate.admit(peer: peers[client].id, now: now) {
        case .granted: break
        case .busy(let retryAfter):
          report.refusedRequestCount += 1
          tell(client, .finished(queued.request, .busy(retryAfter: retryAfter)))
          continue
        }
        if peers[server].gate.load.active > peers[server].gate.slotCount {
          violate("peer \(server) is above its upload limit")
        }
      }
      network.advance(to: now)
      network.flows.append(
        Flow(
          client: client, server: server, request: queued.request, run: queued.run, start: now,
          next: queued.run.first.rawValue, left: byteCount(queued.run.first.rawValue)))
      network.isDirty = true
      connections[index].isSending = true
    }
  }

  private func byteCount(_ piece: Int) -> Double {
    Double(geometry.byteRange(of: PieceIndex(piece)).count)
  }

  /// Takes a response off the network; what waits behind it comes next.
  private mutating func end(_ position: Int, isComplete: Bool) {
    let flow = network.flows.remove(at: position)
    network.isDirty = true
    connections[connectionIndex(flow.client, flow.server)].isSending = false
    let duration = now - flow.start
    if flow.server == origin {
      let rest =
        isComplete
        ? flow.run : PieceRun(first: PieceIndex(flow.next), count: flow.run.end - flow.next)
      tracker.originSent(
        rest, of: Self.package, to: peers[flow.client].id, byteCount: flow.sentByteCount,
        isComplete: isComplete, now: now)
    } else {
      peers[flow.server].gate.release(
        peer: peers[flow.client].id, byteCount: flow.sentByteCount, duration: duration, now: now)
    }
    serveNext(flow.client, flow.server)
  }

  mutating func complete() {
    network.advance(to: now)
    var position = 0
    while position < network.flows.count {
      guard network.flows[position].left < 0.5, !network.flows[position].isFrozen else {
        position += 1
        continue
      }
      deliver(position)
      if network.flows[position].next >= network.flows[position].run.end {
        let flow = network.flows[position]
        tell(flow.client, .finished(flow.request, .complete))
        end(position, isComplete: true)
      } else {
        network.flows[position].left = byteCount(network.flows[position].next)
        position += 1
      }
    }
    scheduleCompletion()
  }

  private mutating func deliver(_ position: Int) {
    let flow = network.flows[position]
    let piece = PieceIndex(flow.next)
    let bytes = byteCount(flow.next)
    network.flows[position].next += 1
    network.flows[position].sentByteCount += Int(bytes)
    let isCorrupt = flow.server != origin && peers[flow.server].isLiar
    if flow.server == origin {
      originByteCount += bytes
    } else {
      peerByteCount += bytes
      if !peers[flow.server].download.held.contains(piece) {
        violate("peer \(flow.server) serves what it has not verified")
      }
    }
    tell(flow.client, .arrived(piece, flow.request))
    let culprit = isCorrupt ? peers[flow.server].id : nil
    if isCorrupt { report.rejectedPieceCount += 1 }
    schedule(
      .tells(
        flow.client,
        isCorrupt
          ? .rejected(piece, flow.request, culprit: culprit) : .verified(piece, flow.request)),
      after: scenario.latency + Self.verifyTime)
    if !isCorrupt { spread(piece, from: flow.client) }
  }

  /// The have-frame goes out when the piece is verified and needs one way to the followers.
  private mutating func spread(_ piece: PieceIndex, from client: Int) {
    let delay = scenario.latency * 2 + Self.verifyTime
    let event = Download.Event.gained(peers[client].id, [PieceRun(piece)])
    for follower in peers[client].followers {
      schedule(.tells(follower, event), after: delay)
    }
  }

  mutating func abandon(_ id: RequestID, of client: Int, at server: Int) {
    connections[connectionIndex(client, server)].queue.removeAll { $0.request == id }
    network.advance(to: now)
    let position = network.flows.firstIndex {
      $0.client == client && $0.server == server && $0.request == id
    }
    if let position {
      if server == origin {
        let flow = network.flows[position]
        originByteCount += byteCount(flow.next) - max(0, flow.left)
      }
      end(position, isComplete: false)
    }
  }

  mutating func shareIfDirty() {
    guard network.isDirty, !isShareScheduled else { return }
    let next = network.sharedAt + Network.quantum
    if next <= now {
      share()
    } else {
      isShareScheduled = true
      schedule(.shares, at: next)
    }
  }

  mutating func share() {
    network.advance(to: now)
    network.share(now: now)
    scheduleCompletion()
  }

  private mutating func scheduleCompletion() {
    completionVersion += 1
    if let next = network.nextCompletion(now: now) {
      schedule(.completes(version: completionVersion), at: next)
    }
  }

  /// Tells the clients of slow responses that bytes still come.
  mutating func sweep() {
    network.advance(to: now)
    for index in network.flows.indices where network.flows[index].movedByteCount >= 1 {
      let flow = network.flows[index]
      network.flows[index].movedByteCount = 0
      tell(flow.client, .progressed(flow.request, byteCount: Int(flow.movedByteCount)))
    }
  }

  mutating func fail(_ index: Int) {
    guard peers[index].life == .up else { return }
    network.advance(to: now)
    switch peers[index].plan.conduct {
    case .honest, .lying: return
    case .frozen:
      peers[index].life = .frozen
      for position in network.flows.indices
      where network.flows[position].client == index || network.flows[position].server == index {
        network.flows[position].isFrozen = true
      }
      network.isDirty = true
      return
    case .leaving:
      let goodbye = Announce(
        peer: peers[index].id, port: 1_024, site: "", isLeaving: true,
        uploads: peers[index].gate.load, reports: [])
      schedule(.announces(goodbye, from: index), after: scenario.latency)
    case .killed: break
    }
    vanish(index)
  }

  private mutating func vanish(_ index: Int) {
    peers[index].life = .gone
    for follower in peers[index].followers {
      tell(follower, .haveStreamEnded(peers[index].id, refused: false))
    }
    for client in peers.indices where client != index {
      for queued in connections[connectionIndex(client, index)].queue {
        tell(client, .finished(queued.request, .failed))
      }
      connections[connectionIndex(client, index)].queue = []
      peers[client].followers.removeAll { $0 == index }
    }
    for server in 0...origin { connections[connectionIndex(index, server)].queue = [] }
    while let position = network.flows.firstIndex(where: {
      $0.client == index || $0.server == index
    }) {
      let flow = network.flows[position]
      if flow.server == index { tell(flow.client, .finished(flow.request, .failed)) }
      end(position, isComplete: false)
    }
  }

  mutating func summary() -> SimulationReport {
    let honest = peers.filter(\.isExpected)
    report.peerCount = peers.count
    report.expectedCount = honest.count
    report.completedCount = honest.filter { $0.doneAt != nil }.count
    if report.completedCount < report.expectedCount { violate("an honest peer did not finish") }
    let size = Double(scenario.byteCount)
    let up = Double(scenario.originUpRate)
    let down = scenario.peers.map { Double($0.downRate) }.min() ?? up
    let sum = scenario.peers.reduce(up) { $0 + Double($1.upRate) }
    report.fluidBound = max(size / up, size / down, Double(peers.count) * size / sum)
    let times = honest.compactMap { peer in
      peer.doneAt.map { ($0 - (.zero + peer.plan.arrival)).seconds }
    }.sorted()
    if let last = times.last {
      report.medianTime = times[times.count / 2]
      report.lastTime = last
      report.medianStretch = report.medianTime / report.fluidBound
      report.lastStretch = last / report.fluidBound
    }
    report.originCopies = originByteCount / size
    report.peerCopies = peerByteCount / size
    report.virtualTime = now - .zero
    report.traceHash = trace.value
    return report
  }
}
