import Content
import Testing

@testable import Storage

struct PieceLedgerTests {
  /// Four pieces, the last one short.
  private let geometry = Geometry(byteCount: 3 * 65_536 + 100)!

  private func ledger(verified: [Int] = [], durable: [Int] = []) -> PieceLedger {
    PieceLedger(
      geometry: geometry, verified: pieces(verified, of: 4), durable: pieces(durable, of: 4))
  }

  private func range(_ offset: Int, _ count: Int) -> ByteRange {
    ByteRange(offset: offset, count: count)!
  }

  private func write(_ ledger: inout PieceLedger, _ offset: Int, _ count: Int) {
    _ = ledger.finishWrite(ledger.beginWrite(range(offset, count), tick: 1))
  }

  @Test func aPieceIsSealedOnlyWhenAllOfItArrived() {
    var ledger = ledger()
    write(&ledger, 0, 65_535)
    guard case .incomplete = ledger.seal(run(0)) else { return #expect(Bool(false)) }
    write(&ledger, 65_535, 1)
    guard case .sealed(let sealed) = ledger.seal(run(0)) else { return #expect(Bool(false)) }
    #expect(sealed == pieces([0], of: 4))
    #expect(ledger.verified.isEmpty)
    ledger.commit(sealed, tick: 2)
    #expect(ledger.verified == pieces([0], of: 4))
  }

  @Test func bytesOfVerifiedAndSealedPiecesAreRefused() {
    var ledger = ledger(verified: [1])
    write(&ledger, 0, 65_536)
    _ = ledger.seal(run(0))
    let admission = ledger.beginWrite(range(0, 3 * 65_536), tick: 1)
    #expect(admission.ranges == [range(2 * 65_536, 65_536)])
    #expect(admission.begun == pieces([2], of: 4))
  }

  @Test func writersThatMeetAreContested() {
    var ledger = ledger()
    write(&ledger, 0, 10)
    write(&ledger, 0, 65_536)
    guard case .contested(let sealed, let contested) = ledger.seal(run(0)) else {
      return #expect(Bool(false))
    }
    #expect(sealed == contested)
  }

  @Test func aWriterStillAtItIsWaitedFor() {
    var ledger = ledger()
    let late = ledger.beginWrite(range(0, 65_536), tick: 1)
    guard case .contested(_, let contested) = ledger.seal(run(0)) else {
      return #expect(Bool(false))
    }
    #expect(ledger.hasWriters(contested))
    let wakes = ledger.finishWrite(late)
    #expect(wakes)
    #expect(!ledger.hasWriters(contested))
  }

  @Test func aFailedWriteMakesEverythingBeforeItWorthless() {
    var ledger = ledger()
    write(&ledger, 0, 65_000)
    ledger.failWrite(ledger.beginWrite(range(65_000, 100), tick: 1))
    write(&ledger, 65_000, 536)
    guard case .incomplete = ledger.seal(run(0)) else { return #expect(Bool(false)) }
  }

  @Test func aCancelledWriteLeavesTheOthersBytes() {
    var ledger = ledger()
    let first = ledger.beginWrite(range(0, 2 * 65_536), tick: 1)
    write(&ledger, 0, 65_536)
    let kept = ledger.cancelWrite(first)
    #expect(kept == pieces([0], of: 4))
    #expect(ledger.occupied == pieces([0], of: 4))
    guard case .sealed = ledger.seal(run(0)) else { return #expect(Bool(false)) }
  }

  /// Its bytes were dropped while it was being written, another wrote them again and sealed them.
  @Test func aCancelledWriteLeavesASealedPieceItsRoom() {
    var ledger = ledger()
    let first = ledger.beginWrite(range(0, 65_536), tick: 1)
    #expect(ledger.dropPartial(pieces([0], of: 4)).isEmpty)
    write(&ledger, 0, 65_536)
    guard case .contested(let sealed, _) = ledger.seal(run(0)) else {
      return #expect(Bool(false))
    }
    let kept = ledger.cancelWrite(first)
    #expect(kept == pieces([0], of: 4))
    #expect(!ledger.hasWriters(sealed))
    ledger.commit(sealed, tick: 2)
    #expect(ledger.verified == ledger.occupied)
  }

  @Test func aPinnedPieceStays() {
    var ledger = ledger(verified: [0, 1])
    let pinned = [
      ledger.pin(run(0), tick: 1), ledger.pin(run(0), tick: 2), ledger.pin(run(1, 2), tick: 1),
    ]
    #expect(pinned == [true, true, false])
    ledger.unpin(run(0))
    #expect(ledger.evictable.map(\.index) == [PieceIndex(1)])
    let beside = ledger.withdraw(pieces([0, 1], of: 4))
    #expect(beside == pieces([1], of: 4))
    ledger.unpin(run(0))
    let freed = ledger.withdraw(pieces([0], of: 4))
    #expect(freed == pieces([0], of: 4))
  }

  @Test func aLeavingPieceTakesNoBytesUntilItIsVacated() {
    var ledger = ledger(verified: [0])
    let taken = ledger.withdraw(pieces([0], of: 4))
    let early = ledger.beginWrite(range(0, 65_536), tick: 1)
    #expect(early.ranges.isEmpty)
    ledger.vacate(taken)
    let later = ledger.beginWrite(range(0, 65_536), tick: 1)
    #expect(later.ranges == [range(0, 65_536)])
  }

  @Test func aRefusedWithdrawalIsRestored() {
    var ledger = ledger(verified: [0])
    ledger.restore(ledger.withdraw(pieces([0], of: 4)))
    #expect(ledger.verified == pieces([0], of: 4))
  }

  @Test func doubtTakesWhatIsNotDurable() {
    var ledger = ledger(verified: [0, 1], durable: [0])
    write(&ledger, 2 * 65_536, 65_536)
    _ = ledger.seal(run(2))
    let doubtful = ledger.doubtUnsynchronized()
    #expect(doubtful == pieces([1], of: 4))
    #expect(ledger.verified == pieces([0], of: 4))
    #expect(!ledger.isSealed(pieces([2], of: 4)))
  }

  @Test func theLastPieceCountsWithItsOwnLength() {
    #expect(ledger(verified: [0, 3]).occupiedByteCount == 65_536 + 100)
  }
}
