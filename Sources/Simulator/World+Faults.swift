import Content
import Swarm

/// The tracker, and what breaks.
extension World {
  mutating func announce(_ report: PackageReport, of index: Int) {
    self.report.announceCount += 1
    watchBounds(of: index)
    let announce = Announce(
      peer: peers[index].id, port: peers[index].plan.serves ? 1_024 : 0,
      site: "site \(peers[index].plan.site)", isLeaving: false, uploads: peers[index].gate.load,
      reports: [report])
    schedule(
      .announces(announce, from: index),
      after: delay(from: index, to: origin) + machine.answerTime)
  }

  mutating func answer(_ announce: Announce, from index: Int) {
    let delay = delay(from: origin, to: index)
    guard tracker != nil else {
      schedule(.trackerFails(index), after: delay)
      return
    }
    if !announce.isLeaving {
      peers[index].announceContact = noted(peers[index].announceContact, of: index)
    }
    let referral = tracker!.announce(announce, from: address(of: index), now: now, rng: &trackerRng)
    note(announce)
    beginChecks()
    guard let part = referral.packages.first else { return }
    watchReferral(part)
    for lease in part.leases { trace.add(lease.run) }
    schedule(.refers(index, part, interval: referral.interval), after: delay)
  }

  /// Sites have networks of their own.
  func address(of index: Int) -> IPAddress {
    .v4(0x0a00_0000 &+ UInt32(peers[index].plan.site) << 17 &+ UInt32(index + 1))
  }

  mutating func restartTracker() {
    guard isOriginUp else { return }
    var fresh = Tracker(limits: scenario.trackerLimits)
    fresh.register(Self.package, geometry)
    tracker = fresh
    trackerEpoch += 1
    watch.forget()
  }

  /// It and its tracker are gone for good.
  mutating func killOrigin() {
    isOriginUp = false
    tracker = nil
    for index in connections.indices where connections[index].server == origin {
      breakConnection(index)
    }
  }

  /// Both ends lose it; the client hears at once.
  private mutating func breakConnection(_ index: Int) {
    let client = connections[index].client
    for request in peers[client].requests where request.connection == Int32(index) {
      schedule(
        .finishes(client, request.id, .failed),
        after: latency(from: connections[index].server, to: client))
    }
    drop(index)
  }

  mutating func fail(_ index: Int) {
    guard peers[index].life != .gone else { return }
    switch peers[index].plan.conduct {
    case .honest, .lying: return
    case .frozen: return freeze(index)
    case .leaving, .leavingWhenDone:
      let goodbye = Announce(
        peer: peers[index].id, port: 1_024, site: "", isLeaving: true,
        uploads: peers[index].gate.load, reports: [])
      schedule(.announces(goodbye, from: index), after: delay(from: index, to: origin))
    case .killed: break
    }
    let wasUp = peers[index].life == .up
    peers[index].life = .gone
    if wasUp { vanish(index) }
  }

  private mutating func freeze(_ index: Int) {
    guard peers[index].life == .up else { return }
    peers[index].life = .frozen
    peers[index].frozenAt = now
    for contact in peers[index].contacts { closeFlow(Int(contact.connection)) }
    for connection in peers[index].served { closeFlow(Int(connection)) }
    loseHoldings(of: index)
  }

  private mutating func vanish(_ index: Int) {
    for follower in peers[index].feed.followerIDs.map({ Int($0) }) {
      schedule(.ends(follower, server: index), after: latency(from: index, to: follower))
    }
    peers[index].feed.removeAll()
    for contact in peers[index].contacts {
      drop(Int(contact.connection))
      if Int(contact.server) != origin {
        peers[Int(contact.server)].feed.remove(Int32(index))
      }
    }
    lose(peers[index].announceContact, of: index)
    peers[index].requests = []
    for connection in peers[index].served { breakConnection(Int(connection)) }
    loseHoldings(of: index)
  }

  private mutating func loseHoldings(of index: Int) {
    peers[index].proven.forEach { piece in
      holderCounts[piece.rawValue] -= 1
      if holderCounts[piece.rawValue] == 0 { spreadCount -= 1 }
    }
  }
}
