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
    let told9 = turn(&feed, 40)
    #expect(told9 == [[3]])
    #expect(feed.isUpToDate)
    #expect(feed.delay(now: at(40), interval: Self.interval) == nil)
    let told10 = turn(&feed, 60)
    #expect(told10.isEmpty)
  }

  @Test func nobodyHearsAgainBeforeARoundIsOver() {
    var feed = feed(followers: 0..<8)
    feed.note(gained(0))
    let told11 = turn(&feed, 0)
    #expect(told11 == [[0, 1, 2, 3]])
    let told12 = turn(&feed, 20)
    #expect(told12 == [[4, 5, 6, 7]])
    feed.note(gained(1))
    // Two turns of four are a round.
    #expect(feed.delay(now: at(30), interval: Self.interval) == .milliseconds(10))
    let told13 = turn(&feed, 40)
    #expect(told13 == [[0, 1, 2, 3]])
    let told14 = turn(&feed, 50)
    #expect(told14.isEmpty)
    let told15 = turn(&feed, 60)
    #expect(told15 == [[4, 5, 6, 7]])
  }

  @Test func whoCameLaterHearsNothingOld() {
    var feed = NewsFeed()
    feed.note(gained(1))
    #expect(feed.isUpToDate)
    feed.add(0)
    feed.note(gained(2))
    feed.add(1)
    let told16 = turn(&feed, 0)
    #expect(told16 == [[0]])
  }

  @Test func whoLeavesTakesNobodysTurn() {
    var feed = feed(followers: 0..<8)
    feed.note(gained(3))
    let told17 = turn(&feed, 0)
    #expect(told17 == [[0, 1, 2, 3]])
    feed.remove(0)
    feed.remove(7)
    let told18 = turn(&feed, 20)
    #expect(told18 == [[4, 5, 6]])
    #expect(feed.isUpToDate)
  }

  // MARK: Beside the stream

  @Test func whoIsSentSomethingHearsTheNewsWithIt() throws {
    var feed = feed(followers: 0..<2)
    for piece in [9, 4, 5, 4] { feed.note(gained(piece)) }
    feed.note(promised(11))
    let said = feed.takeAside(for: 1, now: at(0))
    let aside = try #require(said)
    #expect(aside.gained == [PieceRun(first: PieceIndex(4), count: 2)] + runs(9))
    #expect(aside.promised == runs(11))
    let said1 = feed.takeAside(for: 1, now: at(1))
    #expect(said1 == nil)
    let said2 = feed.takeAside(for: 7, now: at(1))
    #expect(said2 == nil)
    // The stream need not tell it now.
    let told19 = turn(&feed, 2)
    #expect(told19 == [[0]])
    feed.note(gained(12))
    let said3 = feed.takeAside(for: 1, now: at(3))
    #expect(said3?.gained == runs(12))
  }

  @Test func theStreamRepeatsWhatWasSaidBesideIt() {
    var feed = feed(followers: 0..<1)
    feed.note(gained(4))
    let said4 = feed.takeAside(for: 0, now: at(100))
    #expect(said4 != nil)
    #expect(!feed.isUpToDate)
    #expect(feed.delay(now: at(600), interval: Self.interval) == .milliseconds(1_500))
    #expect(turn(&feed, 2_099).isEmpty)
    feed.note(gained(5))
    let said5 = feed.takeAside(for: 0, now: at(2_099))
    #expect(said5 != nil)
    let told = feed.takeTurn(now: at(2_100), interval: Self.interval)
    #expect(told.map(\.news) == [[gained(4), gained(5)]])
    #expect(feed.isUpToDate)
  }

  @Test func whatWasEvictedIsOnlyToldInItsOrder() {
    var feed = feed(followers: 0..<1)
    feed.note(gained(4))
    feed.note(.evicted(PieceRun(PieceIndex(4))))
    let said6 = feed.takeAside(for: 0, now: at(0))
    #expect(said6 == nil)
    let told20 = turn(&feed, 0)
    #expect(told20 == [[0]])
    feed.note(gained(4))
    let said7 = feed.takeAside(for: 0, now: at(1))
    #expect(said7 != nil)
  }

  @Test func tooMuchIsLeftToTheStream() {
    var feed = feed(followers: 0..<1)
    for piece in 0...NewsFeed.asideRunCountMax { feed.note(gained(2 * piece)) }
    let said8 = feed.takeAside(for: 0, now: at(0))
    #expect(said8 == nil)
    let told21 = turn(&feed, 0)
    #expect(told21 == [[0]])
  }
}
