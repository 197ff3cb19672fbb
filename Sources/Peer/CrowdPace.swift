import Content
import Swarm

/// How much a node gathers before it does something with it, by how fast bytes come. In a crowd
/// pieces and news come in small parts from all sides, and none of them is waited for so much that
/// a few milliseconds count: the loop's turns begin as far apart as it takes for a turn to be worth
/// its price. Pure.
struct CrowdPace {
  /// Neighbours that make a crowd.
  static let neighbourCountMin = 8
  /// What is to come in one turn.
  static let turnByteCount = 112 << 10
  static let gatheringTimes: ClosedRange<Duration> = .milliseconds(5)...(.milliseconds(30))
  /// Where bytes come faster, a turn's share of them would be too little for the time.
  static let byteRateMax = 32 << 20

  /// `EventLoop.gatheringTime`.
  private(set) var gatheringTime = Duration.zero
  /// `HaveFeed.turnInterval`.
  private(set) var newsInterval = NewsPace.turnInterval(byteRate: 0)
  private var byteCount = 0

  /// Once a second.
  /// - Parameter total: bytes verified in the node's life.
  mutating func note(total: Int, neighbourCount: Int) {
    let rate = total - byteCount
    byteCount = total
    newsInterval = NewsPace.turnInterval(byteRate: rate)
    let gathers =
      neighbourCount >= Self.neighbourCountMin && rate > 0 && rate <= Self.byteRateMax
    gatheringTime =
      gathers
      ? NewsPace.interval(of: Self.turnByteCount, byteRate: rate, within: Self.gatheringTimes)
      : .zero
  }
}
