import Content

/// How much a node gathers before it does something with it, by how fast bytes come. In a crowd
/// pieces and news come in small parts from all sides, and none of them is waited for so much that
/// a few milliseconds count: the loop's turns begin as far apart as it takes for a turn to be worth
/// its price. Pure.
package struct CrowdPace: Sendable {
  /// Neighbours that make a crowd.
  package static let neighbourCountMin = 8
  /// What is to come in one turn.
  package static let turnByteCount = 112 << 10
  package static let gatheringTimes: ClosedRange<Duration> = .milliseconds(5)...(.milliseconds(30))
  /// Where bytes come faster, a turn's share of them would be too little for the time.
  package static let byteRateMax = 32 << 20

  /// `EventLoop.gatheringTime`.
  package private(set) var gatheringTime = Duration.zero
  /// `HaveFeed.turnInterval`.
  package private(set) var newsInterval = NewsPace.turnInterval(byteRate: 0)
  private var byteCount = 0

  package init() {}

  /// Once a second.
  /// - Parameter total: bytes verified in the node's life.
  package mutating func note(total: Int, neighbourCount: Int) {
    let rate = total - byteCount
    byteCount = total
    newsInterval = NewsPace.turnInterval(byteRate: rate)
    gatheringTime = Self.gatheringTime(byteRate: rate, neighbourCount: neighbourCount)
  }

  /// From one turn to the next of a node that gains so many bytes a second.
  package static func gatheringTime(byteRate: Int, neighbourCount: Int) -> Duration {
    let isCrowd = neighbourCount >= neighbourCountMin
    guard isCrowd, byteRate > 0, byteRate <= byteRateMax else { return .zero }
    return NewsPace.interval(of: turnByteCount, byteRate: byteRate, within: gatheringTimes)
  }
}
