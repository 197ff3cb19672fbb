import Content
import Swarm

/// Pieces passed on while they are received. A sender passes on whole chunks, each as soon as it has
/// come and been checked, and the last when the piece is proven.
extension World {
  private enum Receipt {
    /// Verified: all of it may go.
    case proven
    /// It comes on this connection.
    case coming(Int)
    /// All came, and is being verified.
    case deciding
    case over
  }

  private func receipt(of piece: PieceIndex, at server: Int) -> Receipt {
    if peers[server].download.held.contains(piece) { return .proven }
    for request in peers[server].requests {
      let index = Int(request.connection)
      guard let first = connections[index].responses.first, first.id == request.id,
        first.outcome == .complete, first.next == piece.rawValue
      else { continue }
      return .coming(index)
    }
    return peers[server].download.isUnderWay(piece) ? .deciding : .over
  }

  /// Its bytes have begun to come.
  func isUnderReceipt(_ piece: PieceIndex, at server: Int) -> Bool {
    switch receipt(of: piece, at: server) {
    case .proven: return true
    case .coming(let index):
      return connections[index].left + connections[index].heldBack
        < byteCount(piece.rawValue)
    case .deciding, .over: return false
    }
  }

  /// The first response of the connection is of a piece under receipt.
  mutating func beginPassingOn(_ response: Connection.Response, on index: Int) {
    closeFlow(index)
    connections[index].left = 0
    connections[index].heldBack = byteCount(response.next)
    schedule(.grows(place(index), response.id), after: machine.blockHashTime)
  }

  /// Lets go what the sender has checked by now, and looks again when it has more.
  mutating func passOn(_ place: SimulationEvent.Place, _ id: RequestID) {
    let index = place.connection
    guard connections[index].epoch == place.epoch,
      let first = connections[index].responses.first, first.id == id,
      connections[index].heldBack > 0
    else { return }
    let server = connections[index].server
    guard server == origin || peers[server].life == .up else { return }
    let piece = PieceIndex(first.next)
    let whole = byteCount(first.next)
    let passed = whole - connections[index].heldBack
    switch receipt(of: piece, at: server) {
    case .proven: letGo(connections[index].heldBack, on: index)
    // It is looked at again several times before the index's next turn.
    case .deciding:
      schedule(.grows(place, id), after: max(machine.verifyTime, machine.indexInterval / 10))
    case .over: breakOff(index)
    case .coming(let source):
      advance(source)
      let came = max(0, whole - connections[source].left - connections[source].heldBack)
      let chunk = Double(machine.chunkByteCount)
      let sender = connections[source].server
      let isRight = sender == origin || !peers[sender].isLiar
      // What a liar sends is found wrong in the first chunk.
      let ready = isRight ? min((came / chunk).rounded(.down) * chunk, whole - chunk) : 0
      if ready > passed {
        watchPassingOn(ready, of: piece, by: server)
        letGo(ready - passed, on: index)
      }
      let rate = connections[source].rate
      let missing = max(ready, passed) + chunk - came
      let wait = rate > 0 ? min(missing / rate, 0.05) : 0.05
      schedule(.grows(place, id), after: max(machine.verifyTime, .nanoseconds(Int64(wait * 1e9))))
    }
  }

  private mutating func letGo(_ byteCount: Double, on index: Int) {
    advance(index)
    connections[index].heldBack -= byteCount
    if connections[index].heldBack < 0.5 { connections[index].heldBack = 0 }
    connections[index].left = max(0, connections[index].left) + byteCount
    if connections[index].flow != nil {
      connections[index].dueAt = nil
      scheduleLook(index)
    } else if !connections[index].isStarting {
      connections[index].isStarting = true
      schedule(.flows(place(index)), after: uplinkQueue(connections[index].server))
    }
  }

  /// The sender closes the connection in the middle: its own source is gone, or was wrong.
  private mutating func breakOff(_ index: Int) {
    let (client, server) = (connections[index].client, connections[index].server)
    report.brokenOffCount += 1
    for request in peers[client].requests where request.connection == Int32(index) {
      let isIt = connections[index].responses.first?.id == request.id
      schedule(
        .finishes(client, request.id, isIt ? .brokenOff : .busy(retryAfter: .zero)),
        after: latency(from: server, to: client))
    }
    drop(index)
  }
}
