import Content
import Testing

@testable import Swarm

/// How many sources a download uses, as the rate that they bring together goes.
@Suite struct SourceWidthTests {
  /// Windows of one rate; the width after each.
  private func widths(
    _ width: inout SourceWidth, windows: Int, from start: inout Instant, rate: (Int) -> Int
  ) -> [Int] {
    var found: [Int] = []
    for _ in 0..<windows {
      let byteCount = Int(Double(rate(width.count)) * SourceWidth.window.seconds)
      start = start + SourceWidth.window
      width.add(byteCount: byteCount, now: start)
      found.append(width.count)
    }
    return found
  }

  private func begun(
    _ bounds: ClosedRange<Int>, target: Int? = nil
  ) -> (SourceWidth, Instant) {
    var width = SourceWidth(bounds, targetByteRate: target)
    width.add(byteCount: 0, now: .zero)
    return (width, .zero)
  }

  @Test func aFullLineIsServedByFew() {
    var (width, now) = begun(4...8)
    let found = widths(&width, windows: 6, from: &now) { _ in 5_000_000 }
    #expect(found == [7, 6, 5, 4, 4, 4])
  }

  @Test func everySourceIsKeptWhileEachOneCounts() {
    var (width, now) = begun(4...8)
    let found = widths(&width, windows: 40, from: &now) { 500_000 * $0 }
    #expect(found.allSatisfy { $0 >= 7 })
  }

  @Test func moreAreTriedAgainAndOnlyKeptWhenTheyBringMore() {
    var (width, now) = begun(4...8)
    _ = widths(&width, windows: 6, from: &now) { _ in 5_000_000 }
    #expect(width.count == 4)
    let full = widths(&width, windows: 20, from: &now) { _ in 5_000_000 }
    #expect(full.contains(6) && full.filter { $0 == 4 }.count > full.count / 2)
    // The sources become crowded: more of them bring more.
    let crowded = widths(&width, windows: 8, from: &now) { 400_000 * $0 }
    #expect(crowded.last.map { $0 >= 7 } == true)
  }

  @Test func aTargetThatIsMetEndsTheSearch() {
    var (width, now) = begun(2...8, target: 1_000_000)
    _ = widths(&width, windows: 8, from: &now) { _ in 2_000_000 }
    let found = widths(&width, windows: 30, from: &now) { _ in 2_000_000 }
    #expect(found.allSatisfy { $0 == 2 })
  }

  @Test func aTargetThatIsMissedDoesNot() {
    var (width, now) = begun(2...8, target: 4_000_000)
    _ = widths(&width, windows: 8, from: &now) { _ in 2_000_000 }
    let found = widths(&width, windows: 30, from: &now) { _ in 2_000_000 }
    #expect(found.contains(4))
  }

  @Test func aWindowSleptThroughSaysNothing() {
    var (width, now) = begun(4...8)
    now = now + SourceWidth.window * 10
    width.add(byteCount: 1, now: now)
    #expect(width.count == 8)
  }
}
