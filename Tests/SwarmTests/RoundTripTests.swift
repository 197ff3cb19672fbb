import Content
import Swarm
import Testing

/// Of sources that are alike in all else, the nearer is asked.
@Suite struct RoundTripTests {
  typealias Fixture = DownloadFixture

  /// Two sources that hold everything and send at the same pace, the second of them after `way` more.
  /// - Returns: how many of the later fetches went to the first.
  private func shareOfTheFirst(way: Duration, target: Int? = nil) throws -> Double {
    var limits = DownloadLimits()
    limits.requestsPerSourceMax = 1
    limits.runByteCountMin = 1
    limits.runByteCountMax = 1
    limits.sourceCounts = 1...1
    limits.targetByteRate = target
    var fixture = Fixture(pieceCount: 200, limits: limits)
    fixture.follow([1: Array(0..<200), 2: Array(0..<200)])
    var counts = [0, 0]
    for turn in 0..<200 {
      let fetch = try #require(fixture.fetches.first)
      let isFar = fetch.source == Fixture.peer(2)
      if turn >= 40 { counts[isFar ? 1 : 0] += 1 }
      fixture.tell(
        .progressed(fetch.id, byteCount: 1), after: .milliseconds(2) + (isFar ? way : .zero))
      // The far one's line makes up for the way, so that both bring as much a second.
      fixture.tell(.ticked, after: .milliseconds(98) - (isFar ? way : .zero))
      fixture.deliver(fetch)
    }
    return Double(counts[0]) / Double(counts[0] + counts[1])
  }

  @Test func theNearerOfTwoThatAreEquallyFastIsAsked() throws {
    #expect(try shareOfTheFirst(way: .milliseconds(80)) > 0.9)
  }

  /// A piece a tenth of a second is what each of the two gives.
  @Test func aTargetSpeedTakesTheFirstThatGivesIt() throws {
    let given = 10 * Geometry.pieceByteCountMin
    let enough = try shareOfTheFirst(way: .milliseconds(80), target: given / 2)
    #expect(enough > 0.3 && enough < 0.7)
    #expect(try shareOfTheFirst(way: .milliseconds(80), target: given * 2) > 0.9)
  }

  @Test func sourcesEquallyFarShareTheWork() throws {
    let share = try shareOfTheFirst(way: .zero)
    #expect(share > 0.3 && share < 0.7)
  }
}
