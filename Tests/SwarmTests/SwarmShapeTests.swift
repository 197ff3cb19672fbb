import Content
import Swarm
import Testing

/// What keeps a crowd even: whom its members know, and whom they ask.
@Suite struct SwarmShapeTests {
  private static let sources = Array(1...4)

  /// Follows as many as it may, all of whom hold nothing yet.
  private func followed(swapCountMax: Int, sourceCount: Int = 4) -> DownloadFixture {
    var limits = DownloadLimits()
    limits.sourceCounts = sourceCount...sourceCount
    limits.followCountMax = 4
    limits.swapCountMax = swapCountMax
    var fixture = DownloadFixture(pieceCount: 8, limits: limits)
    fixture.follow(Dictionary(uniqueKeysWithValues: Self.sources.map { ($0, []) }))
    return fixture
  }

  @Test func newlyNamedSourcesReplaceSomeWhoGaveNothing() {
    var fixture = followed(swapCountMax: 2)
    fixture.tell(.ticked, after: .seconds(1))
    fixture.refer(sources: [11, 12, 13])
    let known = Set(fixture.download.followed)
    #expect(known.count == 4)
    #expect(known.intersection([11, 12, 13].map { DownloadFixture.peer($0) }).count == 2)
    let left = fixture.effects.compactMap { effect -> PeerID? in
      if case .unfollow(let peer) = effect { peer } else { nil }
    }
    #expect(left.count == 2)
  }

  /// The first of four neighbours has given all that it has, the second is asked, two gave nothing,
  /// and four others are named.
  private func followedThen(sourceCount: Int) throws -> Set<PeerID> {
    var fixture = followed(swapCountMax: 8, sourceCount: sourceCount)
    fixture.tell(.gained(DownloadFixture.peer(1), [DownloadFixture.run(0)]))
    let fetch = try #require(fixture.fetches.first)
    fixture.deliver(fetch)
    fixture.tell(.gained(DownloadFixture.peer(2), [DownloadFixture.run(1)]))
    #expect(fixture.fetches.map(\.source) == [DownloadFixture.peer(2)])
    fixture.tell(.ticked, after: .seconds(1))
    fixture.refer(sources: [11, 12, 13, 14])
    return Set(fixture.download.followed)
  }

  @Test func whoGaveSomethingOrIsAskedStays() throws {
    let known = try followedThen(sourceCount: 1)
    #expect(known.isSuperset(of: [1, 2].map { DownloadFixture.peer($0) }))
    #expect(known.isDisjoint(with: [3, 4].map { DownloadFixture.peer($0) }))
  }

  /// The first of a crowd follow each other: what the later ones were sent must reach them.
  @Test func whoHasNothingMoreMakesRoomWhenSourcesAreShort() throws {
    let known = try followedThen(sourceCount: 2)
    #expect(known.contains(DownloadFixture.peer(2)))
    #expect(known.isDisjoint(with: [1, 3, 4].map { DownloadFixture.peer($0) }))
  }

  @Test func belowTheFollowLimitNobodyIsLeft() {
    var fixture = DownloadFixture(pieceCount: 8)
    fixture.follow([1: [], 2: []])
    fixture.tell(.ticked, after: .seconds(1))
    fixture.refer(sources: [11, 12])
    #expect(fixture.download.followed.count == 4)
  }

  /// One neighbour has a piece that no other has: it is not what all ask for, but whoever asks that
  /// neighbour asks for it.
  @Test func theSourceIsDrawnBeforeThePiece() throws {
    var limits = DownloadLimits()
    limits.sourceCounts = 1...1
    limits.requestsPerSourceMax = 1
    var rareCount = 0
    for seed in UInt64(1)...40 {
      var fixture = DownloadFixture(pieceCount: 8, limits: limits)
      fixture.rng = SeededGenerator(seed: seed)
      fixture.follow([1: [7], 2: [0, 4], 3: [0], 4: [0], 5: [0]])
      fixture.deliver(try #require(fixture.fetches.first))
      let fetch = try #require(fixture.fetches.first)
      let isRare = fetch.source == DownloadFixture.peer(2)
      #expect(fetch.run == DownloadFixture.run(isRare ? 4 : 0))
      if isRare { rareCount += 1 }
    }
    #expect((2...30).contains(rareCount))
  }
}
