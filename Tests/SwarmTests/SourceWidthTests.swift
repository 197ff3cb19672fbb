import Content
import Testing

@testable import Swarm

/// How many sources a download uses, as the rate that they bring together goes.
@Suite struct SourceWidthTests {
  /// Windows of one rate; the width after each.
  private func widths(
    _ width: inout SourceWidth, windows: Int, from start: inout Instant, isRefused: Bool = false,
    rate: (Int) -> Int
  ) -> [Int] {
    var found: [Int] = []
    for _ in 0..<windows {
      if isRefused { width.refused() }
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

  @Test func moreThatBringNothingAreNotKept() {
    var (width, now) = begun(4...8)
    let found = widths(&width, windows: 20, from: &now) { _ in 5_000_000 }
    #expect(found.contains(6))
    #expect(!found.contains(8))
    #expect(found.filter { $0 == 4 }.count > found.count / 2)
  }

  @Test func everySourceIsKeptWhileEachOneCounts() {
    var (width, now) = begun(4...8)
    let found = widths(&width, windows: 12, from: &now) { 500_000 * $0 }
    #expect(found.prefix(6) == [4, 4, 4, 6, 8, 8])
    #expect(found.dropFirst(4).allSatisfy { $0 == 8 })
  }

  @Test func whoIsRefusedTriesNoMore() {
    var (width, now) = begun(4...8)
    let found = widths(&width, windows: 20, from: &now, isRefused: true) { 500_000 * $0 }
    #expect(found.allSatisfy { $0 == 4 })
  }

  @Test func oneRefusalEndsTheTrial() {
    var (width, now) = begun(4...8)
    _ = widths(&width, windows: 6, from: &now) { 500_000 * $0 }
    #expect(width.count == 8)
    #expect(widths(&width, windows: 1, from: &now, isRefused: true) { 500_000 * $0 } == [4])
    // Not for ever: where there is room again, more are tried.
    #expect(widths(&width, windows: 8, from: &now) { 500_000 * $0 }.last == 8)
  }

  @Test func aTargetThatIsMetEndsTheSearch() {
    var (width, now) = begun(2...8, target: 1_000_000)
    let found = widths(&width, windows: 30, from: &now) { _ in 2_000_000 }
    #expect(found.allSatisfy { $0 == 2 })
  }

  @Test func aTargetThatIsMissedDoesNot() {
    var (width, now) = begun(2...8, target: 4_000_000)
    let found = widths(&width, windows: 30, from: &now) { _ in 2_000_000 }
    #expect(found.contains(4))
  }

  @Test func aWindowSleptThroughSaysNothing() {
    var (width, now) = begun(4...8)
    now = now + SourceWidth.window * 10
    width.add(byteCount: 1, now: now)
    #expect(width.count == 4)
  }
}
