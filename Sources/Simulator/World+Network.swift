import Content

/// The links, and what a message needs on its way.
extension World {
  func uplink(_ index: Int) -> Int { index }
  func downlink(_ index: Int) -> Int { origin + 1 + index }

  private func path(from server: Int, to client: Int) -> LinkSharing.Path {
    var path = LinkSharing.Path(repeating: -1)
    path[0] = Int32(uplink(server))
    path[1] = Int32(downlink(client))
    guard scenario.siteRate != nil, scenario.siteCount > 1 else { return path }
    let first = 2 * origin + 1
    let site = peers[client].plan.site
    if server == origin {
      path[2] = Int32(first + scenario.siteCount + site)
    } else if peers[server].plan.site != site {
      path[2] = Int32(first + peers[server].plan.site)
      path[3] = Int32(first + scenario.siteCount + site)
    }
    return path
  }

  func latency(from sender: Int, to receiver: Int) -> Duration {
    guard scenario.siteCount > 1, sender != origin, receiver != origin,
      peers[sender].plan.site == peers[receiver].plan.site
    else { return model.latency }
    return model.siteLatency
  }

  private func rate(up index: Int) -> Int {
    index == origin ? scenario.originUpRate : peers[index].plan.upRate
  }

  /// What waits in front of a machine's uplink.
  func uplinkQueue(_ index: Int) -> Duration {
    guard links.isFull(uplink(index)) else { return .zero }
    let byteCount =
      index == origin ? model.originQueueByteCount : model.uplinkQueueByteCount
    return time(byteCount: byteCount, rate: rate(up: index))
  }

  private func downlinkQueue(_ index: Int) -> Duration {
    guard index != origin, links.isFull(downlink(index)) else { return .zero }
    return time(byteCount: model.downlinkQueueByteCount, rate: peers[index].plan.downRate)
  }

  private func time(byteCount: Int, rate: Int) -> Duration {
    .nanoseconds(Int64(Double(byteCount) / Double(max(1, rate)) * 1e9))
  }

  /// A small message's way from one machine to another, now.
  func delay(from sender: Int, to receiver: Int) -> Duration {
    latency(from: sender, to: receiver) + uplinkQueue(sender) + downlinkQueue(receiver)
  }

  // MARK: Flows

  mutating func openFlow(_ index: Int) {
    let weight =
      model.unfairness > 1
      ? Double.random(in: 1...model.unfairness, using: &networkRng) : 1
    let (server, client) = (connections[index].server, connections[index].client)
    let flow = links.add(path(from: server, to: client), weight: weight)
    if flow == connectionOfFlow.count {
      connectionOfFlow.append(Int32(index))
    } else {
      connectionOfFlow[flow] = Int32(index)
    }
    connections[index].flow = flow
    connections[index].rate = 0
    connections[index].advancedAt = now
    connections[index].dueAt = nil
  }

  mutating func closeFlow(_ index: Int) {
    guard let flow = connections[index].flow else { return }
    advance(index)
    links.remove(flow)
    connectionOfFlow[flow] = -1
    connections[index].flow = nil
    connections[index].rate = 0
    connections[index].dueAt = nil
    connections[index].version &+= 1
  }

  /// Moves bytes up to now at the rate as it is.
  mutating func advance(_ index: Int) {
    let seconds = (now - connections[index].advancedAt).seconds
    connections[index].advancedAt = now
    guard seconds > 0, connections[index].rate > 0 else { return }
    let moved = connections[index].rate * seconds
    connections[index].left -= moved
    connections[index].movedByteCount += moved
  }

  /// Rates follow changes at most once in a quantum.
  mutating func scheduleShare() {
    guard !isShareScheduled else { return }
    isShareScheduled = true
    schedule(.shares, at: max(now, sharedAt + model.quantum))
  }

  mutating func share() {
    isShareScheduled = false
    sharedAt = now
    changedFlows.removeAll(keepingCapacity: true)
    links.settle(changed: &changedFlows)
    for flow in changedFlows {
      let index = Int(connectionOfFlow[Int(flow)])
      guard index >= 0 else { continue }
      advance(index)
      connections[index].rate = links.rate(of: Int(flow))
      scheduleLook(index)
    }
    watchLinks()
  }

  /// The piece is looked at when it should be out. An entry that comes too early looks again; only
  /// one that would come too late is replaced.
  mutating func scheduleLook(_ index: Int) {
    guard connections[index].rate > 0 else { return }
    let seconds = max(0, connections[index].left) / connections[index].rate
    let due = now + .nanoseconds(Int64(min(seconds, 1e8) * 1e9) + 1)
    if let known = connections[index].dueAt, known <= due + model.quantum { return }
    connections[index].dueAt = due
    connections[index].version &+= 1
    let place = SimulationEvent.Place(connection: index, epoch: connections[index].epoch)
    schedule(.leaves(place, version: connections[index].version), at: due)
  }
}

extension SimulationScenario {
  /// In the order of `World.uplink`, `World.downlink`, then out of and into each site.
  var capacities: [Double] {
    var capacities = peers.map { Double($0.upRate) } + [Double(originUpRate)]
    capacities += peers.map { Double($0.downRate) }
    if let siteRate, siteCount > 1 {
      capacities += Array(repeating: Double(siteRate), count: 2 * siteCount)
    }
    return capacities
  }
}
