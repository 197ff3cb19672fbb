import Content
import Swarm
import Testing

@testable import Simulator

/// When a simulated machine comes to what has happened.
@Suite struct MachineModelTests {
  private let start = Instant.zero + .seconds(1)

  @Test func aLoopWithoutPaceNeverWaits() {
    var turns = LoopTurns()
    for milliseconds in [0, 0, 1, 1] {
      #expect(turns.comesAtOnce(now: start + .milliseconds(milliseconds)) == true)
    }
  }

  @Test func inACrowdTurnsAreSomeTimeApart() {
    var turns = LoopTurns()
    turns.interval = .milliseconds(10)
    // After a quiet time the first is dealt with at once, and what happens with it.
    #expect(turns.comesAtOnce(now: start) == true)
    #expect(turns.comesAtOnce(now: start) == true)
    #expect(turns.comesAtOnce(now: start + .milliseconds(3)) == false)
    #expect(turns.keep(.turns(1)) == start + .milliseconds(10))
    #expect(turns.keep(.turns(2)) == nil)
    // What comes with the turn waits behind what waited for it.
    let next = start + .milliseconds(10)
    #expect(turns.comesAtOnce(now: next) == false)
    #expect(turns.keep(.turns(3)) == nil)
    #expect(turns.take(now: next).count == 3)
    #expect(turns.comesAtOnce(now: next) == true)
    #expect(turns.comesAtOnce(now: next + .milliseconds(9)) == false)
  }

  private func piece(_ number: Int) -> IndexTurns.Piece {
    IndexTurns.Piece(piece: PieceIndex(number), request: RequestID(UInt64(number)))
  }

  @Test func theIndexTakesTheFirstAtOnceAndGathersTheNext() {
    var index = IndexTurns(pieceCount: 8)
    #expect(index.add(piece(0), now: start) == start)
    let taken = index.takeTurn(
      now: start, duration: .milliseconds(1), interval: .milliseconds(50))
    #expect(taken.map(\.piece.rawValue) == [0])
    #expect(index.add(piece(1), now: start + .milliseconds(5)) == start + .milliseconds(51))
    #expect(index.add(piece(2), now: start + .milliseconds(9)) == nil)
  }

  @Test func whatCompletesAPackageIsNotWaitedFor() {
    var index = IndexTurns(pieceCount: 3)
    #expect(index.add(piece(0), now: start) == start)
    _ = index.takeTurn(now: start, duration: .milliseconds(1), interval: .milliseconds(50))
    #expect(index.add(piece(1), now: start + .milliseconds(5)) == start + .milliseconds(51))
    let last = start + .milliseconds(7)
    #expect(index.add(piece(2), now: last) == last)
    #expect(
      index.takeTurn(now: last, duration: .milliseconds(1), interval: .milliseconds(50)).count == 2)
    #expect(index.turnAt == nil)
  }
}
