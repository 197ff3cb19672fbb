import Content
import Testing

@testable import Swarm

/// Who is behind those that download beside it asks more of them.
@Suite struct CatchUpTests {
  private static let piecesPerLag = DownloadLimits().lagByteCount / Geometry.pieceByteCountMin

  /// A download that holds the first `own` of 256 pieces, and follows peers that hold so many each.
  private func download(own: Int, others: [Int]) -> Download {
    var fixture = DownloadFixture(pieceCount: 256, held: Array(0..<own))
    fixture.follow(
      Dictionary(uniqueKeysWithValues: others.enumerated().map { ($0 + 1, Array(0..<$1)) }))
    return fixture.download
  }

  @Test func aheadOrAlikeItAsksNoMore() {
    #expect(download(own: 20, others: [20, 20]).widthToCatchUp == 0)
    #expect(download(own: 60, others: [20, 20]).widthToCatchUp == 0)
    #expect(download(own: 0, others: []).widthToCatchUp == 0)
  }

  @Test func eachQuarterOfAMebibyteIsOneMore() {
    for lag in 0...4 {
      let ahead = 20 + lag * Self.piecesPerLag
      #expect(download(own: 20, others: [ahead, ahead]).widthToCatchUp == lag)
      #expect(download(own: 20, others: [ahead + 3, ahead + 3]).widthToCatchUp == lag)
    }
  }

  @Test func thereAreNeverMoreThanTheLimit() {
    let most = DownloadLimits().sourceCountToCatchUp
    #expect(download(own: 0, others: [200, 200]).widthToCatchUp == most)
  }

  /// It is the mean of them that counts, and who has all does not download.
  @Test func thoseWithAllSayNothing() {
    #expect(download(own: 20, others: [256, 256]).widthToCatchUp == 0)
    #expect(download(own: 20, others: [256, 20, 20]).widthToCatchUp == 0)
    #expect(download(own: 20, others: [20, 20 + 2 * Self.piecesPerLag]).widthToCatchUp == 1)
  }

  /// A peer whose have-stream has ended is none to be compared with.
  @Test func whoIsNoLongerFollowedDoesNotCount() {
    var fixture = DownloadFixture(pieceCount: 256, held: Array(0..<20))
    fixture.follow([1: Array(0..<100), 2: Array(0..<20)])
    #expect(fixture.download.widthToCatchUp > 0)
    fixture.tell(.haveStreamEnded(DownloadFixture.peer(1), refused: false))
    #expect(fixture.download.widthToCatchUp == 0)
  }

  /// And so it does ask more sources at a time than others do.
  @Test(arguments: [true, false]) func itAsksMoreAtATime(isBehind: Bool) {
    let own = isBehind ? 0 : 360
    var fixture = DownloadFixture(pieceCount: 1_024, held: Array(0..<own))
    let theirs = Array(own..<own + 360)
    fixture.follow(Dictionary(uniqueKeysWithValues: (1...14).map { ($0, theirs) }))
    let limits = DownloadLimits()
    let width = limits.sourceCounts.lowerBound + (isBehind ? limits.sourceCountToCatchUp : 0)
    let asked = fixture.download.neighbours.dropFirst().count { $0.outstandingCount > 0 }
    #expect(asked == width)
  }
}
