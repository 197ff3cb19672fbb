import Content
import Swarm

/// What the origin's shell tells its tracker.
extension World {
  /// Whom a connection to the origin belongs to is known from its second request on, announces
  /// among them.
  mutating func noted(_ contact: OriginContact, of client: Int) -> OriginContact {
    guard contact.epoch == trackerEpoch else {
      return OriginContact(epoch: trackerEpoch, isCounted: false)
    }
    guard !contact.isCounted else { return contact }
    let (id, address) = (peers[client].id, address(of: client))
    let isCounted = tracker?.connected(id, from: address) ?? false
    return OriginContact(epoch: trackerEpoch, isCounted: isCounted)
  }

  /// Its end of the connection is gone.
  mutating func originLost(_ index: Int) {
    let contact = connections[index].contact
    connections[index].contact = OriginContact()
    lose(contact, of: connections[index].client)
  }

  mutating func lose(_ contact: OriginContact, of client: Int) {
    guard contact.isCounted, contact.epoch == trackerEpoch else { return }
    tracker?.disconnected(peers[client].id)
  }

  mutating func originOutcome(
    of run: PieceRun, for client: Int, on index: Int
  ) -> FetchOutcome {
    connections[index].contact = noted(connections[index].contact, of: client)
    let byteCount = Int(byteCount(run.indices))
    let mayStart =
      tracker?.originStarts(
        run, of: Self.package, to: peers[client].id, byteCount: byteCount, now: now) ?? true
    if mayStart { return .complete }
    report.refusedRequestCount += 1
    return .busy(retryAfter: .seconds(1))
  }

  mutating func originSent(_ run: PieceRun, to client: Int) {
    let byteCount = Int(byteCount(run.indices))
    tracker?.originSent(
      run, of: Self.package, to: peers[client].id, byteCount: byteCount, isComplete: true, now: now)
  }

  /// A response broke off: what was sent before, then the rest.
  mutating func originEnded(_ response: Connection.Response, for client: Int) {
    let (first, next) = (response.run.first.rawValue, response.next)
    if next > first {
      originSent(PieceRun(first: response.run.first, count: next - first), to: client)
    }
    guard next < response.run.end else { return }
    let rest = PieceRun(first: PieceIndex(next), count: response.run.end - next)
    let unsentByteCount = Int(byteCount(rest.indices))
    tracker?.originSent(
      rest, of: Self.package, to: peers[client].id, byteCount: 0, unsentByteCount: unsentByteCount,
      isComplete: false, now: now)
  }

  /// Responses that have not moved for as long as the shell waits.
  mutating func watchOriginResponses() {
    for index in originConnections {
      guard let first = connections[index].responses.first, !first.isWritten, !first.isStalled
      else { continue }
      let client = connections[index].client
      guard peers[client].life == .frozen, now - peers[client].frozenAt >= Self.stallTime else {
        continue
      }
      connections[index].responses[0].isStalled = true
      let rest = PieceRun(first: PieceIndex(first.next), count: first.run.end - first.next)
      tracker?.originStalled(rest, of: Self.package, to: peers[client].id, now: now)
    }
  }

  private static let stallTime: Duration = .seconds(1)
}

/// Whether the tracker counts a connection as one that its peer keeps.
struct OriginContact: Sendable {
  /// The tracker that has seen a request on it; -1 for none.
  var epoch = -1
  var isCounted = false
}
