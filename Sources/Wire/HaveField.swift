package import Content

/// The value of `Spate-Have`: what the sender gained since its receiver last heard of it, and, after
/// a semicolon, what it expects soon, as runs of pieces: `5,7-9;12-13`. `Docs/PROTOCOL.md` has the
/// grammar.
package struct HaveField: Hashable, Sendable {
  /// In both lists together.
  package static let runCountMax = 64

  package let gained: [PieceRun]
  package let promised: [PieceRun]

  package init(gained: [PieceRun], promised: [PieceRun]) {
    (self.gained, self.promised) = (gained, promised)
  }

  package func append(to bytes: inout [UInt8]) {
    HeadWriter.startField(.spateHave, to: &bytes)
    append(gained, to: &bytes)
    if !promised.isEmpty {
      bytes.append(UInt8(ascii: ";"))
      append(promised, to: &bytes)
    }
    HeadWriter.appendLineEnd(to: &bytes)
  }

  private func append(_ runs: [PieceRun], to bytes: inout [UInt8]) {
    for (index, run) in runs.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      HeadWriter.append(run.first.rawValue, to: &bytes)
      guard run.count > 1 else { continue }
      bytes.append(UInt8(ascii: "-"))
      HeadWriter.append(run.last.rawValue, to: &bytes)
    }
  }

  /// Reads the value in `range` of `bytes` for a package of `pieceCount` pieces. Throws `.badRequest`
  /// when it is no such value, names a piece the package does not have, or is too long.
  package init(_ bytes: Span<UInt8>, _ range: Range<Int>, pieceCount: Int) throws(WireError) {
    let semicolon = Grammar.firstIndex(of: UInt8(ascii: ";"), in: bytes, range)
    let gained = try Self.runs(
      bytes, range.lowerBound..<(semicolon ?? range.upperBound), pieceCount)
    let promised = try semicolon.map { place throws(WireError) in
      try Self.runs(bytes, place + 1..<range.upperBound, pieceCount)
    }
    guard gained.count + (promised?.count ?? 0) <= Self.runCountMax else {
      throw WireError(.badRequest, "Spate-Have has more than \(Self.runCountMax) runs")
    }
    self.init(gained: gained, promised: promised ?? [])
  }

  private static func runs(
    _ bytes: Span<UInt8>, _ range: Range<Int>, _ pieceCount: Int
  ) throws(WireError) -> [PieceRun] {
    var runs: [PieceRun] = []
    var isValid = true
    Grammar.forEachElement(of: bytes, range) { element in
      let dash = Grammar.firstIndex(of: UInt8(ascii: "-"), in: bytes, element)
      guard runs.count < runCountMax,
        let first = Grammar.decimal(bytes, element.lowerBound..<(dash ?? element.upperBound)),
        let last = dash.map({ Grammar.decimal(bytes, $0 + 1..<element.upperBound) }) ?? first,
        first <= last, last < pieceCount
      else {
        isValid = false
        return false
      }
      runs.append(PieceRun(first: PieceIndex(first), count: last - first + 1))
      return true
    }
    guard isValid else {
      throw WireError(.badRequest, "Spate-Have is runs of the package's pieces, as 5,7-9;12")
    }
    return runs
  }
}
