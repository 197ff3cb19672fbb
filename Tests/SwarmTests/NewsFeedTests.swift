import Content
import Testing

@testable import Simulator

/// The turns in which followers hear of pieces, simulated.
@Suite struct NewsFeedTests {
  private func runs(_ pieces: Int...) -> [PieceRun] { pieces.map { PieceRun(PieceIndex($0)) } }

  @Test func followersHearInTurnsOfAllSinceTheirLast() {
    var feed = NewsFeed()
    for follower in 0..<5 { feed.add(follower) }
    feed.note(runs(7), isPromise: false)
    let first = feed.takeTurn(countMax: 4)
    #expect(first.map(\.followers) == [[0, 1, 2, 3]])
    #expect(first.map(\.gained) == [runs(7)])
    feed.note(runs(8), isPromise: true)
    // The fifth has heard neither, the others only the first.
    let second = feed.takeTurn(countMax: 4)
    #expect(second.map(\.followers) == [[4], [0, 1, 2]])
    #expect(second.map(\.gained) == [runs(7), []])
    #expect(second.map(\.promised) == [runs(8), runs(8)])
    #expect(!feed.isUpToDate)
    #expect(feed.takeTurn(countMax: 4).map(\.followers) == [[3]])
    #expect(feed.isUpToDate)
    #expect(feed.takeTurn(countMax: 4).isEmpty)
  }

  @Test func whoCameLaterHearsNothingOld() {
    var feed = NewsFeed()
    feed.note(runs(1), isPromise: false)
    #expect(feed.isUpToDate)
    feed.add(0)
    feed.note(runs(2), isPromise: false)
    feed.add(1)
    #expect(feed.takeTurn(countMax: .max).map(\.followers) == [[0]])
  }

  @Test func whoLeavesTakesNobodysTurn() {
    var feed = NewsFeed()
    for follower in 0..<4 { feed.add(follower) }
    feed.note(runs(3), isPromise: false)
    #expect(feed.takeTurn(countMax: 2).map(\.followers) == [[0, 1]])
    feed.remove(0)
    #expect(feed.takeTurn(countMax: 1).map(\.followers) == [[2]])
    feed.remove(3)
    #expect(feed.isUpToDate)
  }
}
