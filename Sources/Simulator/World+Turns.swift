import Content
import Swarm

/// What comes to a peer waits for a turn of its loop.
extension World {
  /// The peer whose loop the event comes to; nil for what happens elsewhere, or to nobody.
  func loop(of event: SimulationEvent) -> Int? {
    switch event {
    case .ticks(let index, let version):
      return peers[index].tickVersion == version ? index : nil
    case .refers(let index, _, _), .trackerFails(let index), .opens(let index, _),
      .ends(let index, _), .tells(let index), .hears(let index, _, _), .recorded(let index, _),
      .rejects(let index, _, _, _), .arrivesPiece(let index, _, _, _, _, _),
      .finishes(let index, _, _):
      return index
    case .follows(_, let server), .unfollows(_, let server): return server
    case .requests(let place, _, _, _), .grows(let place, _), .wrote(let place, _, _):
      let server = connections[place.connection].server
      return server == origin ? nil : server
    case .arrives, .fails, .announces, .checked, .trackerDies, .trackerReturns, .news, .newsAside,
      .flows,
      .shares, .leaves, .hashed, .records, .turns, .paces, .sweeps:
      return nil
    }
  }

  /// Does it now, or in the next turn of the loop that it comes to.
  mutating func deliver(_ event: SimulationEvent) {
    if let index = loop(of: event), !peers[index].turns.comesAtOnce(now: now) {
      if let turn = peers[index].turns.keep(event) { schedule(.turns(index), at: max(now, turn)) }
    } else {
      perform(event)
    }
  }

  mutating func takeTurn(_ index: Int) {
    for event in peers[index].turns.take(now: now) { perform(event) }
  }

  /// Once a second a node sees how fast its bytes come.
  mutating func keepPace(_ index: Int) {
    guard peers[index].life == .up else { return }
    schedule(.paces(index), after: machine.paceInterval)
    let total = min(
      peers[index].proven.count * geometry.pieceByteCount, geometry.byteCount)
    peers[index].pace.note(
      total: total,
      neighbourCount: peers[index].download.followed.count + peers[index].feed.followerCount)
    peers[index].turns.interval = peers[index].pace.gatheringTime
  }
}
