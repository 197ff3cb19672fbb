import Content
import Digests
import Synchronization

/// Blocks verified before their piece is whole.
extension PieceAssembly {
  enum Judgement {
    case right
    case wrong
    /// Another block was wrong before.
    case tooLate
  }

  /// Blocks from the first on that are in the file and right; 0 until `expect`.
  var provenBlockCount: Int { state.withLock { $0.isOver ? 0 : $0.provenCount } }

  /// Tells what the leaves of the piece are; they lead to its root.
  /// - Returns: a verdict when a block that came before is wrong.
  func expect(_ leaves: [SHA256Digest]) -> IntakeResult.Verdict? {
    let isWrong = state.withLock { state in
      guard !state.isOver, state.missingCount > 0, state.expected == nil else { return false }
      state.expected = leaves
      state.isOver = zip(state.leaves, leaves).contains { $0 != nil && $0 != $1 }
      state.countProven()
      return state.isOver
    }
    return isWrong ? discard() : nil
  }

  /// Whether blocks from `first` on are to be written; the first wrong one ends the piece.
  func judge(_ leaves: [SHA256Digest], at first: Int) -> Judgement {
    state.withLock { state in
      guard !state.isOver else { return .tooLate }
      guard let expected = state.expected else { return .right }
      state.isOver = !leaves.elementsEqual(expected[first..<first + leaves.count])
      return state.isOver ? .wrong : .right
    }
  }
}

extension PieceAssembly.State {
  /// A block counts when it was written, and no write of the piece has failed.
  mutating func countProven() {
    guard let expected, !isOver, failure == nil else { return }
    while provenCount < leaves.count, leaves[provenCount] == expected[provenCount] {
      provenCount += 1
    }
  }
}
