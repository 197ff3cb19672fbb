import Testing

@testable import Content

/// A piece set beside the set of integers it stands for.
@Suite struct PieceSetTests {
  private static func expectSame(_ set: PieceSet, _ model: Set<Int>, _ note: Comment) {
    let count = set.pieceCount
    #expect(set.count == model.count, note)
    #expect(set.isEmpty == model.isEmpty, note)
    #expect(set.isFull == (model.count == count), note)
    let members = (0..<count).filter { set.contains(PieceIndex($0)) }
    #expect(members == model.sorted(), note)
    var visited: [Int] = []
    set.forEach { visited.append($0.rawValue) }
    #expect(visited == members, note)
    #expect(set.runs.flatMap { Array($0.indices) } == members, note)
    for (left, right) in zip(set.runs, set.runs.dropFirst()) {
      #expect(left.end < right.first.rawValue, note)
    }
    #expect(PieceSet(bitmap: set.bitmap.span, pieceCount: count) == set, note)
  }

  @Test(arguments: [0, 1, 7, 8, 63, 64, 65, 127, 128, 129, 1_000, 8_192])
  func behavesLikeASetOfIntegers(pieceCount: Int) {
    let seed = UInt64(pieceCount) + 1
    var random = SeededGenerator(seed: seed)
    var (set, model) = (PieceSet(pieceCount: pieceCount), Set<Int>())
    var (other, otherModel) = (PieceSet(pieceCount: pieceCount), Set<Int>())
    let stepCount = pieceCount > 1_000 ? 40 : 200
    for step in 0..<stepCount {
      if pieceCount > 0 {
        let index = Int.random(in: 0..<pieceCount, using: &random)
        let length = Int.random(in: 1...min(100, pieceCount - index), using: &random)
        let run = PieceRun(first: PieceIndex(index), count: length)
        switch Int.random(in: 0..<8, using: &random) {
        case 0:
          let isNew = set.insert(PieceIndex(index))
          #expect(isNew != model.contains(index))
          model.insert(index)
        case 1:
          let wasThere = set.remove(PieceIndex(index))
          #expect(wasThere == model.contains(index))
          model.remove(index)
        case 2:
          set.insert(run)
          model.formUnion(run.indices)
        case 3:
          set.remove(run)
          model.subtract(run.indices)
        case 4:
          set.formUnion(other)
          model.formUnion(otherModel)
        case 5:
          set.subtract(other)
          model.subtract(otherModel)
        case 6:
          set.formIntersection(other)
          model.formIntersection(otherModel)
        default:
          (set, other) = (other.inverted, set)
          (model, otherModel) = (Set(0..<pieceCount).subtracting(otherModel), model)
        }
        #expect(set.contains(run) == run.indices.allSatisfy { model.contains($0) })
        let first = model.filter { $0 >= index }.min()
        #expect(set.first(from: index)?.rawValue == first)
        let longest = (index..<pieceCount).prefix { model.contains($0) }.count
        let countMax = Int.random(in: 1...200, using: &random)
        #expect(
          set.run(from: PieceIndex(index), countMax: countMax)?.count ?? 0
            == min(longest, countMax))
      }
      Self.expectSame(set, model, "seed \(seed), step \(step)")
    }
    #expect(set.first(from: pieceCount) == nil)
    #expect(PieceSet.full(pieceCount: pieceCount).isFull)
  }

  @Test func theFirstPieceIsTheHighBit() {
    var set = PieceSet(pieceCount: 10)
    set.insert(PieceIndex(0))
    set.insert(PieceIndex(9))
    #expect(set.bitmap == [0x80, 0x40])
  }

  @Test func spareBitsAreRefused() {
    for pieceCount in [1, 7, 9, 15, 63, 65] {
      let full = PieceSet.full(pieceCount: pieceCount).bitmap
      for spare in pieceCount..<full.count * 8 {
        var bytes = full
        bytes[spare / 8] |= 0x80 >> UInt8(spare % 8)
        #expect(PieceSet(bitmap: bytes.span, pieceCount: pieceCount) == nil)
      }
    }
  }

  @Test func bitmapsOfAnotherLengthAreRefused() {
    let empty: [UInt8] = []
    #expect(PieceSet(bitmap: empty.span, pieceCount: 0) != nil)
    #expect(PieceSet(bitmap: empty.span, pieceCount: 1) == nil)
    #expect(PieceSet(bitmap: [0, 0].span, pieceCount: 8) == nil)
    #expect(PieceSet(bitmap: [0].span, pieceCount: 9) == nil)
    #expect(PieceSet(bitmap: [0].span, pieceCount: -1) == nil)
    let large = [UInt8](repeating: 0, count: 1_025)
    #expect(PieceSet(bitmap: large.span, pieceCount: 8_193) == nil)
  }
}
