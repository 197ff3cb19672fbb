/// A record that a `PositionTable` finds: records of one key have one hash.
protocol Keyed: Sendable {
  var keyHash: UInt64 { get }
}

/// Finds where in an array a record lies, by a key that the record itself has: open addressing over
/// positions and a byte of each hash, so that an entry costs five bytes and the room around it, and a
/// search hardly ever looks at another's record. It never holds two records of one key.
struct PositionTable: Sendable {
  private static let vacant = UInt32.max
  private static let cellCountMin = 8

  private var cells: [UInt32] = []
  private var tags: [UInt8] = []
  private(set) var count = 0

  /// The position of the record that `isMatch` says is meant.
  func first(hash: UInt64, where isMatch: (UInt32) -> Bool) -> UInt32? {
    guard !cells.isEmpty else { return nil }
    let mask = cells.count - 1
    let tag = tag(hash)
    var cell = home(hash, mask)
    while cells[cell] != Self.vacant {
      if tags[cell] == tag, isMatch(cells[cell]) { return cells[cell] }
      cell = (cell + 1) & mask
    }
    return nil
  }

  /// The position that is nearly always the one that is looked for; `UInt32.max` for none.
  func likely(hash: UInt64) -> UInt32 { first(hash: hash) { _ in true } ?? Self.vacant }

  /// The record at `position` is new.
  mutating func insert<Record: Keyed>(_ position: UInt32, in records: Pages<Record>) {
    if (count + 1) * 4 > cells.count * 3 { grow(records) }
    place(position, records[Int(position)].keyHash)
    count += 1
  }

  /// The record at `position`, which is still there, is to go.
  mutating func remove<Record: Keyed>(_ position: UInt32, in records: Pages<Record>) {
    guard var hole = cell(of: position, records[Int(position)].keyHash) else { return }
    count -= 1
    // What comes behind moves up, so that no search ends early.
    let mask = cells.count - 1
    var next = (hole + 1) & mask
    while cells[next] != Self.vacant {
      let distance = (next - home(records[Int(cells[next])].keyHash, mask)) & mask
      if distance >= (next - hole) & mask {
        cells[hole] = cells[next]
        tags[hole] = tags[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    cells[hole] = Self.vacant
  }

  /// The record has moved within its array. `hash` is the record's.
  mutating func move(from position: UInt32, to moved: UInt32, hash: UInt64) {
    if let cell = cell(of: position, hash) { cells[cell] = moved }
  }

  private func home(_ hash: UInt64, _ mask: Int) -> Int {
    // The high half of the product depends on all bits of the hash.
    Int(truncatingIfNeeded: (hash &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
  }

  private func tag(_ hash: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: (hash &* 0x9e37_79b9_7f4a_7c15) >> 56)
  }

  private func cell(of position: UInt32, _ hash: UInt64) -> Int? {
    guard !cells.isEmpty else { return nil }
    let mask = cells.count - 1
    var cell = home(hash, mask)
    while cells[cell] != position {
      guard cells[cell] != Self.vacant else { return nil }
      cell = (cell + 1) & mask
    }
    return cell
  }

  private mutating func place(_ position: UInt32, _ hash: UInt64) {
    let mask = cells.count - 1
    var cell = home(hash, mask)
    while cells[cell] != Self.vacant { cell = (cell + 1) & mask }
    cells[cell] = position
    tags[cell] = tag(hash)
  }

  private mutating func grow<Record: Keyed>(_ records: Pages<Record>) {
    let old = cells
    cells = Array(repeating: Self.vacant, count: max(Self.cellCountMin, old.count * 2))
    tags = Array(repeating: 0, count: cells.count)
    for position in old where position != Self.vacant {
      place(position, records[Int(position)].keyHash)
    }
  }
}
