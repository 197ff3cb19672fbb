import Content

/// How much the origin hands out at once: the greater the load, the less, and the more the peers
/// must share.
package enum RunLength {
  /// Members that make a crowd.
  package static let crowd = 4

  /// Consecutive pieces in one lease. `askerCount` members still need pieces and serve others;
  /// `byteRate` is how fast the origin's bytes reached this one, 0 when that is not known;
  /// `queueShare` is how much of what the origin can send within its target period is promised.
  /// `Docs/SWARM.md` has the lengths that come of it.
  ///
  /// Alone: a quarter of a second of its line, 1 to 16 MiB, and 256 KiB before the line is known:
  /// the first of a crowd is alone too. Two or three: an eighth of that, 128 to
  /// 512 KiB. A crowd: 128 KiB, or one piece where that takes longer than a tenth of a second. A
  /// queue that is half full halves the run, one that is full leaves a quarter; 64 KiB at least.
  package static func pieces(
    askerCount: Int, pieceByteCount: Int, byteRate: Int, queueShare: Double = 0
  ) -> Int {
    let quarterSecond = max(0, byteRate) / 4
    let byteCount: Int
    if askerCount <= 1 {
      byteCount = byteRate <= 0 ? 256 << 10 : min(max(quarterSecond, 1 << 20), 16 << 20)
    } else if askerCount < crowd {
      byteCount = min(max(quarterSecond / 8, 128 << 10), 512 << 10)
    } else {
      byteCount = byteRate / 10 >= 128 << 10 ? 128 << 10 : 64 << 10
    }
    let part = queueShare >= 1 ? 4 : queueShare >= 0.5 ? 2 : 1
    return max(1, max(byteCount / part, 64 << 10) / pieceByteCount)
  }

  /// Consecutive pieces that one member brings into its site in one crossing: 128 KiB. The lines
  /// between sites are slow, and what is under way to one member keeps its neighbours waiting.
  package static func crossingPieces(pieceByteCount: Int) -> Int {
    max(1, crossingByteCount / pieceByteCount)
  }

  private static let crossingByteCount = 128 << 10

  /// Pieces one member may be bringing into its site at a time: two runs, or what its line takes in
  /// 50 ms, up to 8 MiB; and never so much that the last ones all come through one member.
  package static func outstandingCrossingPieces(
    memberCount: Int, pieceByteCount: Int, byteRate: Int, openPieceCount: Int
  ) -> Int {
    let byteCount = min(max(2 * crossingByteCount, max(0, byteRate) / 20), 8 << 20)
    let fairCount = openPieceCount / (2 * max(1, memberCount))
    return max(1, min(byteCount / pieceByteCount, fairCount))
  }

  private static let grantByteCountMax = 16 << 20

  /// In which time a member of several is to get what it was granted, when the origin's line is
  /// full: a grant says by its size what part of a member's line the origin can fill.
  package static let grantPeriod: Duration = .milliseconds(250)

  /// Pieces one member may have leased at a time. Alone: half a second of its line, at least two
  /// runs, so that one is under way while the next is asked for. Otherwise 50 ms of its line, up to
  /// 1 MiB, or its part of what the origin would send in `grantPeriod` if it were half as fast again
  /// as it was seen to be: an origin whose line is not full is seen to be faster then. Never so much
  /// that the last pieces all leave the origin together: those still have to travel on.
  package static func outstandingPieces(
    askerCount: Int, pieceByteCount: Int, byteRate: Int, freshPieceCount: Int,
    originByteRate: Int = 0
  ) -> Int {
    let run = pieces(askerCount: askerCount, pieceByteCount: pieceByteCount, byteRate: byteRate)
    if askerCount <= 1 {
      return byteRate <= 0
        ? run : max(2 * run, min(max(0, byteRate) / 2, 64 << 20) / pieceByteCount)
    }
    let part = Double(max(0, originByteRate)) * 1.5 * grantPeriod.seconds / Double(askerCount)
    let byteCount = max(
      min(max(0, byteRate) / 20, 1 << 20), Int(min(part, Double(grantByteCountMax))))
    let fairCount = freshPieceCount / (2 * askerCount)
    return max(1, min(max(run, byteCount / pieceByteCount), fairCount))
  }
}
