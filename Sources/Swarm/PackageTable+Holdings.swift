import Content

/// What each member holds. One with all pieces or none has no bitmap: seeds are many.
///
/// Invariant: a member has a bitmap exactly when it holds some pieces and lacks some, and then
/// `heldCount` is the number of its bits.
extension PackageTable {
  func isFull(_ index: Int) -> Bool { members[index].heldCount == pieceCount }

  func holds(_ piece: PieceIndex, at index: Int) -> Bool {
    word(piece.rawValue >> 6, at: index) & Self.bit(piece) != 0
  }

  func holds(_ run: PieceRun, at index: Int) -> Bool {
    run.indices.allSatisfy { holds(PieceIndex($0), at: index) }
  }

  /// 64 pieces of the member's, as in `PieceSet`.
  func word(_ wordIndex: Int, at index: Int) -> UInt64 {
    let bitmap = members[index].bitmap
    if bitmap != BitmapPool.none { return bitmaps.word(bitmap, wordIndex) }
    guard members[index].heldCount > 0 else { return 0 }
    let rest = pieceCount - wordIndex * 64
    return rest >= 64 ? ~0 : (1 << UInt64(rest)) - 1
  }

  /// A copy.
  func held(_ index: Int) -> PieceSet {
    PieceSet(pieceCount: pieceCount) { word($0, at: index) }
  }

  /// Adds pieces of one word, none of which the member holds.
  mutating func insert(_ pieces: UInt64, _ wordIndex: Int, at index: Int) {
    if members[index].bitmap == BitmapPool.none {
      members[index].bitmap = bitmaps.take { _ in 0 }
    }
    bitmaps.flip(pieces, of: members[index].bitmap, wordIndex)
    members[index].heldCount += pieces.nonzeroBitCount
    if isFull(index) {
      dropBitmap(of: index)
      seedCount += 1
    }
  }

  /// Takes out pieces of one word, all of which the member holds.
  mutating func remove(_ pieces: UInt64, _ wordIndex: Int, at index: Int) {
    if members[index].bitmap == BitmapPool.none {
      let full = PieceSet.full(pieceCount: pieceCount)
      members[index].bitmap = bitmaps.take { full.word($0) }
      seedCount -= 1
    }
    bitmaps.flip(pieces, of: members[index].bitmap, wordIndex)
    members[index].heldCount -= pieces.nonzeroBitCount
    if members[index].heldCount == 0 { dropBitmap(of: index) }
  }

  /// Calls `body` with each word that the run has pieces in, and those pieces.
  static func forEachWord(
    of run: PieceRun, _ body: (_ pieces: UInt64, _ wordIndex: Int) -> Void
  ) {
    var start = run.first.rawValue
    while start < run.end {
      let wordIndex = start >> 6
      let end = min(run.end, (wordIndex + 1) << 6)
      let below: UInt64 = end & 63 == 0 ? ~0 : 1 << UInt64(end & 63) - 1
      body(below & ~0 << UInt64(start & 63), wordIndex)
      start = end
    }
  }

  static func forEachPiece(
    of word: UInt64, _ wordIndex: Int, _ body: (PieceIndex) -> Void
  ) {
    var rest = word
    while rest != 0 {
      body(PieceIndex(wordIndex << 6 + rest.trailingZeroBitCount))
      rest &= rest - 1
    }
  }

  private mutating func dropBitmap(of index: Int) {
    bitmaps.giveBack(members[index].bitmap)
    members[index].bitmap = BitmapPool.none
  }

  private static func bit(_ piece: PieceIndex) -> UInt64 { 1 << UInt64(piece.rawValue & 63) }
}
