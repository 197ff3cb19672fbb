import Content

/// How much the origin hands out at once: the greater the load, the less, and the more the peers
/// must share.
package enum RunLength {
  /// Members that make a crowd.
  private static let crowd = 4

  /// Consecutive pieces in one lease. `askerCount` members still need pieces and serve others;
  /// `byteRate` is how fast the origin's bytes reached this one, 0 when that is not known.
  ///
  /// Alone: a quarter of a second of its line, 1 to 16 MiB, and 256 KiB before the line is known:
  /// the first of a crowd is alone too. Two or three: an eighth of that, 128 to
  /// 512 KiB. A crowd: 128 KiB, or one piece where that takes longer than a tenth of a second.
  package static func pieces(askerCount: Int, pieceByteCount: Int, byteRate: Int) -> Int {
    let quarterSecond = max(0, byteRate) / 4
    let byteCount: Int
    if askerCount <= 1 {
      byteCount = byteRate <= 0 ? 256 << 10 : min(max(quarterSecond, 1 << 20), 16 << 20)
    } else if askerCount < crowd {
      byteCount = min(max(quarterSecond / 8, 128 << 10), 512 << 10)
    } else {
      byteCount = byteRate / 10 >= 128 << 10 ? 128 << 10 : 64 << 10
    }
    return max(1, byteCount / pieceByteCount)
  }

  /// Pieces one member may have leased at a time. Alone: half a second of its line, at least two
  /// runs, so that one is under way while the next is asked for. Otherwise 50 ms of its line, up to
  /// 1 MiB, and never so much that the last pieces all leave the origin together: those still have
  /// to travel on.
  package static func outstandingPieces(
    askerCount: Int, pieceByteCount: Int, byteRate: Int, freshPieceCount: Int
  ) -> Int {
    let run = pieces(askerCount: askerCount, pieceByteCount: pieceByteCount, byteRate: byteRate)
    if askerCount <= 1 {
      return byteRate <= 0
        ? run : max(2 * run, min(max(0, byteRate) / 2, 64 << 20) / pieceByteCount)
    }
    let byteCount = min(max(0, byteRate) / 20, 1 << 20)
    let fairCount = freshPieceCount / (2 * askerCount)
    return max(1, min(max(run, byteCount / pieceByteCount), fairCount))
  }
}
