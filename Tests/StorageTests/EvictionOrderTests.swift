import Content
import Testing

@testable import Storage

struct EvictionOrderTests {
  private func id(_ number: UInt8) -> PackageID {
    PackageID(root: SHA256Digest(bytes: [UInt8](repeating: number, count: 32))!)
  }

  private func idle(_ number: UInt8, lastUse: UInt64, byteCount: Int) -> EvictionCandidate {
    EvictionCandidate(
      id: id(number), isInUse: false, lastUse: lastUse, byteCount: byteCount, pieces: [])
  }

  private func busy(_ number: UInt8, _ pieces: [(Int, UInt64)]) -> EvictionCandidate {
    EvictionCandidate(
      id: id(number), isInUse: true, lastUse: 0, byteCount: pieces.count * 10,
      pieces: pieces.map { .init(index: PieceIndex($0.0), byteCount: 10, lastUse: $0.1) })
  }

  private func steps(
    _ byteCount: Int, _ candidates: [EvictionCandidate]
  ) -> [EvictionOrder.Step] {
    EvictionOrder.steps(toFree: byteCount, from: candidates) { _ in 8 }
  }

  @Test func takesTheLongestUnusedPackageFirstAndNoMoreThanNeeded() {
    let all = [idle(1, lastUse: 3, byteCount: 50), idle(2, lastUse: 1, byteCount: 50)]
    #expect(steps(50, all) == [.whole(id(2))])
    #expect(steps(51, all) == [.whole(id(2)), .whole(id(1))])
    #expect(steps(0, all).isEmpty)
  }

  @Test func touchesPackagesInUseOnlyWhenNoOtherIsLeft() {
    let all = [busy(1, [(0, 1), (1, 2)]), idle(2, lastUse: 99, byteCount: 10)]
    #expect(steps(10, all) == [.whole(id(2))])
    #expect(steps(11, all) == [.whole(id(2)), .pieces(id(1), pieces([0], of: 8))])
  }

  @Test func ordersPiecesAcrossPackagesByTheirLastUse() {
    let all = [busy(1, [(0, 5), (1, 1)]), busy(2, [(3, 2), (4, 9)])]
    #expect(
      steps(20, all) == [
        .pieces(id(1), pieces([1], of: 8)), .pieces(id(2), pieces([3], of: 8)),
      ])
  }

  @Test func givesAllThereIsWhenThatIsTooLittle() {
    #expect(steps(1_000, [busy(1, [(0, 1)])]) == [.pieces(id(1), pieces([0], of: 8))])
  }

  @Test func breaksTiesByID() {
    let all = [idle(2, lastUse: 1, byteCount: 1), idle(1, lastUse: 1, byteCount: 1)]
    #expect(steps(1, all) == [.whole(id(1))])
  }
}
