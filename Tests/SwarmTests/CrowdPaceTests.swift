import Content
import Swarm
import Testing

/// How much a node gathers, by how fast bytes come.
struct CrowdPaceTests {
  private func pace(byteRate: Int, neighbourCount: Int = 20) -> CrowdPace {
    var pace = CrowdPace()
    pace.note(total: 1_000, neighbourCount: neighbourCount)
    pace.note(total: 1_000 + byteRate, neighbourCount: neighbourCount)
    return pace
  }

  @Test func turnsAreLongerWhereBytesComeSlowly() {
    #expect(pace(byteRate: 11_468_800).gatheringTime == .milliseconds(10))
    #expect(pace(byteRate: 1).gatheringTime == CrowdPace.gatheringTimes.upperBound)
    #expect(pace(byteRate: 30_000_000).gatheringTime == CrowdPace.gatheringTimes.lowerBound)
  }

  @Test func nothingGathersWithoutACrowdWithoutBytesOrWhereTheyComeFast() {
    let fewCount = CrowdPace.neighbourCountMin - 1
    #expect(pace(byteRate: 11_468_800, neighbourCount: fewCount).gatheringTime == .zero)
    #expect(pace(byteRate: 0).gatheringTime == .zero)
    #expect(pace(byteRate: CrowdPace.byteRateMax + 1).gatheringTime == .zero)
  }

  @Test func newsKeepThePaceOfTheBytes() {
    #expect(pace(byteRate: 6_144_000).newsInterval == .milliseconds(40))
    #expect(pace(byteRate: 0).newsInterval == NewsPace.turnIntervals.lowerBound)
  }

  @Test func turnsFollowTheRateOfACrowd() {
    #expect(CrowdPace.gatheringTime(byteRate: 5_000_000, neighbourCount: 7) == .zero)
    #expect(CrowdPace.gatheringTime(byteRate: 0, neighbourCount: 8) == .zero)
    #expect(CrowdPace.gatheringTime(byteRate: 64 << 20, neighbourCount: 8) == .zero)
    #expect(CrowdPace.gatheringTime(byteRate: 25_000_000, neighbourCount: 8) == .milliseconds(5))
    #expect(CrowdPace.gatheringTime(byteRate: 11_468_800, neighbourCount: 8) == .milliseconds(10))
    #expect(CrowdPace.gatheringTime(byteRate: 1_000_000, neighbourCount: 8) == .milliseconds(30))
  }
}
