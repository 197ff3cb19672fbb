import Content
import Swarm
import Testing

/// How often followers hear of new pieces.
struct NewsPaceTests {
  @Test func whoGainsSlowlyTellsInLongerTurns() {
    #expect(NewsPace.turnInterval(byteRate: 6_144_000) == .milliseconds(40))
  }

  @Test func turnsStayWithinTheirBounds() {
    #expect(NewsPace.turnInterval(byteRate: 0) == NewsPace.turnIntervals.lowerBound)
    #expect(NewsPace.turnInterval(byteRate: 1) == NewsPace.turnIntervals.upperBound)
    #expect(NewsPace.turnInterval(byteRate: .max) == NewsPace.turnIntervals.lowerBound)
  }
}
