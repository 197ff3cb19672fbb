import Content
import Swarm
import Testing

/// Packages that the origin sends faster than their askers could find each other.
@Suite struct SmallPackageTests {
  typealias Fixture = TrackerFixture

  @Test func everybodyIsLeasedTheWholeAndNobodyIsNamed() {
    var fixture = Fixture(pieceCount: 4, sharesSmall: false)
    for number in 1...4 {
      // Who has just come has nothing to go on with, and says so.
      let part = fixture.say(number, wanted: 4, starving: true)!
      #expect(Fixture.pieces(part.leases) == [0, 1, 2, 3])
      #expect(part.sources == [] && part.promises == [])
      // Nor with the reports until it is there, nor with the one that says so.
      #expect(fixture.say(number, Fixture.nothing)?.sources == [])
    }
    #expect(fixture.say(1, .whole(fixture.set(0..<4)))?.sources == [])
  }

  @Test func whoDidNotGetItIsServedTheNormalWay() {
    var fixture = Fixture(pieceCount: 4, sharesSmall: false)
    fixture.say(1, wanted: 4)
    fixture.say(1, .whole(fixture.set(0..<4)))
    fixture.say(2, wanted: 4)
    let again = fixture.say(2, Fixture.nothing, wanted: 4)!
    #expect(again.leases == [])
    #expect(again.sources.contains { $0.peer == Fixture.peer(1) })
    let starving = fixture.say(2, Fixture.nothing, wanted: 4, starving: true)!
    #expect(starving.sources.contains { $0.peer == Fixture.peer(1) })
  }

  @Test func beyondWhatTheOriginSendsInItsPeriodTheyShare() {
    var limits = TrackerLimits()
    limits.smallLeasedByteCountMin = 3 * 4 * Geometry.pieceByteCountMin
    var fixture = Fixture(pieceCount: 4, limits: limits, sharesSmall: false)
    let leases = (1...5).map { Fixture.pieces(fixture.say($0, wanted: 4)!.leases) }
    #expect(leases == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [], []])
    #expect(fixture.say(5, Fixture.nothing, wanted: 4)?.sources.count == 5)
  }

  @Test func theOperatorsBudgetComesFirst() {
    var limits = TrackerLimits()
    limits.originCopiesMax = 1
    var fixture = Fixture(pieceCount: 4, limits: limits, sharesSmall: false)
    let count = (1...4).reduce(0) {
      $0 + Fixture.pieces(fixture.say($1, wanted: 4)!.leases).count
    }
    #expect(count == 4)
  }

  @Test func aLargerPackageIsShared() {
    var fixture = Fixture(pieceCount: 5, sharesSmall: false)
    fixture.say(1, wanted: 5)
    #expect(fixture.say(2, wanted: 5)?.sources.isEmpty == false)
  }
}
