import Content
import Swarm
import Testing

/// Who hears of a node's pieces when.
@Suite struct NewsFeedTests {
  private static let interval = Duration.milliseconds(20)

  private func gained(_ piece: Int) -> News { .gained(PieceRun(PieceIndex(piece))) }
  private func promised(_ piece: Int) -> News { .promised(PieceRun(PieceIndex(piece))) }
  private func runs(_ pieces: Int...) -> [PieceRun] { pieces.map { PieceRun(PieceIndex($0)) } }
  private func at(_ milliseconds: Int) -> Instant { .zero + .milliseconds(milliseconds) }

  private func feed(followers: Range<Int32>) -> NewsFeed {
    var feed = NewsFeed()
    for follower in followers { feed.add(follower) }
    return feed
  }

  private func aside(
    _ feed: inout NewsFeed, for follower: Int32, _ now: Instant
  ) -> NewsFeed.Aside? {
    feed.takeAside(for: follower, now: now)
  }

  private func turn(_ feed: inout NewsFeed, _ milliseconds: Int) -> [[Int32]] {
    feed.takeTurn(now: at(milliseconds), interval: Self.interval).map(\.followers)
  }

  @Test func followersHearInTurnsOfAllSinceTheirLast() {
    var feed = feed(followers: 0..<5)
    feed.note(gained(7))
    #expect(feed.delay(now: at(0), interval: Self.interval) == .zero)
    let first = feed.takeTurn(now: at(0), interval: Self.interval)
    #expect(first.map(\.followers) == [[0, 1, 2, 3]])
    #expect(first.map(\.news) == [[gained(7)]])
    feed.note(promised(8))
    #expect(feed.delay(now: at(0), interval: Self.interval) == Self.interval)
    // The fifth has heard neither, the others only the first.
    let second = feed.takeTurn(now: at(20), interval: Self.interval)
    #expect(second.map(\.followers) == [[4], [0, 1, 2]])
    #expect(second.map(\.news) == [[gained(7), promised(8)], [promised(8)]])
    #expect(turn(&feed, 40) == [[3]])
    #expect(feed.isUpToDate)
    #expect(feed.delay(now: at(40), interval: Self.interval) == nil)
    #expect(turn(&feed, 60).isEmpty)
  }

  @Test func nobodyHearsAgainBeforeARoundIsOver() {
    var feed = feed(followers: 0..<8)
    feed.note(gained(0))
    #expect(turn(&feed, 0) == [[0, 1, 2, 3]])
    #expect(turn(&feed, 20) == [[4, 5, 6, 7]])
    feed.note(gained(1))
    // Two turns of four are a round.
    #expect(feed.delay(now: at(30), interval: Self.interval) == .milliseconds(10))
    #expect(turn(&feed, 40) == [[0, 1, 2, 3]])
    #expect(turn(&feed, 50).isEmpty)
    #expect(turn(&feed, 60) == [[4, 5, 6, 7]])
  }

  @Test func whoCameLaterHearsNothingOld() {
    var feed = NewsFeed()
    feed.note(gained(1))
    #expect(feed.isUpToDate)
    feed.add(0)
    feed.note(gained(2))
    feed.add(1)
    #expect(turn(&feed, 0) == [[0]])
  }

  @Test func whoLeavesTakesNobodysTurn() {
    var feed = feed(followers: 0..<8)
    feed.note(gained(3))
    #expect(turn(&feed, 0) == [[0, 1, 2, 3]])
    feed.remove(0)
    feed.remove(7)
    #expect(turn(&feed, 20) == [[4, 5, 6]])
    #expect(feed.isUpToDate)
  }

  // MARK: Beside the stream

  @Test func whoIsSentSomethingHearsTheNewsWithIt() throws {
    var feed = feed(followers: 0..<2)
    for piece in [9, 4, 5, 4] { feed.note(gained(piece)) }
    feed.note(promised(11))
    let said = try #require(aside(&feed, for: 1, at(0)))
    #expect(said.gained == [PieceRun(first: PieceIndex(4), count: 2)] + runs(9))
    #expect(said.promised == runs(11))
    #expect(aside(&feed, for: 1, at(1)) == nil)
    #expect(aside(&feed, for: 7, at(1)) == nil)
    // The stream need not tell it now.
    #expect(turn(&feed, 2) == [[0]])
    feed.note(gained(12))
    #expect(aside(&feed, for: 1, at(3))?.gained == runs(12))
  }

  @Test func theStreamRepeatsWhatWasSaidBesideIt() {
    var feed = feed(followers: 0..<1)
    feed.note(gained(4))
    #expect(aside(&feed, for: 0, at(100)) != nil)
    #expect(!feed.isUpToDate)
    #expect(feed.delay(now: at(600), interval: Self.interval) == .milliseconds(1_500))
    #expect(turn(&feed, 2_099).isEmpty)
    feed.note(gained(5))
    #expect(aside(&feed, for: 0, at(2_099)) != nil)
    let told = feed.takeTurn(now: at(2_100), interval: Self.interval)
    #expect(told.map(\.news) == [[gained(4), gained(5)]])
    #expect(feed.isUpToDate)
  }

  @Test func whatWasEvictedIsOnlyToldInItsOrder() {
    var feed = feed(followers: 0..<1)
    feed.note(gained(4))
    feed.note(.evicted(PieceRun(PieceIndex(4))))
    #expect(aside(&feed, for: 0, at(0)) == nil)
    #expect(turn(&feed, 0) == [[0]])
    feed.note(gained(4))
    #expect(aside(&feed, for: 0, at(1)) != nil)
  }

  @Test func tooMuchIsLeftToTheStream() {
    var feed = feed(followers: 0..<1)
    for piece in 0...NewsFeed.asideRunCountMax { feed.note(gained(2 * piece)) }
    #expect(aside(&feed, for: 0, at(0)) == nil)
    #expect(turn(&feed, 0) == [[0]])
  }
}
