import Foundation
import Swarm
import Testing

/// `Docs/SWARM.md` has a table of run lengths: it is what the function says.
@Suite struct RunLengthTests {
  private static let piece = 64 << 10

  @Test func theTableIsTheFunction() throws {
    let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Docs/SWARM.md")
    let page = try String(contentsOf: url, encoding: .utf8)
    let rows = page.split(separator: "\n").compactMap { line -> [Int]? in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      let numbers = cells.compactMap { Int($0) }
      return numbers.count == 7 && cells.count == 7 ? numbers : nil
    }
    let columns: [(rate: Int, queue: Double)] = [
      (0, 0), (1_250_000, 0), (12_500_000, 0), (125_000_000, 0), (125_000_000, 0.5),
      (125_000_000, 1),
    ]
    let expected = [1, 10, 100, 1_000].map { askers in
      [askers]
        + columns.map {
          RunLength.pieces(
            askerCount: askers, pieceByteCount: Self.piece, byteRate: $0.rate,
            queueShare: $0.queue) * Self.piece >> 10
        }
    }
    #expect(rows == expected)
  }

  @Test func theGreaterTheLoadTheShorter() {
    for rate in [0, 100_000, 12_500_000, 1_250_000_000] {
      for piece in [64 << 10, 1 << 20] {
        var last = Int.max
        for askers in [1, 2, 4, 1_000] {
          let runs = [0, 0.5, 1].map {
            RunLength.pieces(
              askerCount: askers, pieceByteCount: piece, byteRate: rate, queueShare: $0)
          }
          #expect(runs[0] >= runs[1] && runs[1] >= runs[2] && runs[2] >= 1)
          #expect(runs[0] <= last)
          last = runs[0]
        }
      }
    }
  }

  @Test func aFasterOriginGrantsMoreAtATime() {
    func outstanding(_ askers: Int, _ originRate: Int, fresh: Int = 1_000) -> Int {
      RunLength.outstandingPieces(
        askerCount: askers, pieceByteCount: Self.piece, byteRate: 500_000, freshPieceCount: fresh,
        originByteRate: originRate)
    }
    #expect(outstanding(12, 0) == 1)
    #expect(outstanding(12, 20_000_000) == 9)
    #expect(outstanding(4, 20_000_000) == 28)
    #expect(outstanding(100, 12_500_000) == 1)
    #expect(outstanding(12, 20_000_000, fresh: 48) == 2)
    #expect(outstanding(4, .max, fresh: 1 << 20) == 256)
  }

  @Test func crossingsAreShortAndTheLastOnesSpread() {
    func outstanding(_ rate: Int, _ open: Int) -> Int {
      RunLength.outstandingCrossingPieces(
        memberCount: 8, pieceByteCount: Self.piece, byteRate: rate, openPieceCount: open)
    }
    #expect(RunLength.crossingPieces(pieceByteCount: Self.piece) == 2)
    #expect(RunLength.crossingPieces(pieceByteCount: 1 << 20) == 1)
    #expect(outstanding(0, 1_000) == 4)
    #expect(outstanding(125_000_000, 100_000) == 95)
    #expect(outstanding(125_000_000, 16) == 1)
  }
}
