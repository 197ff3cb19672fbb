/// Consecutive bytes of a file: at least one, and its end is representable.
package struct ByteRange: Hashable, Sendable {
  package let offset: Int
  package let count: Int

  /// Nil when empty, negative or past the largest offset.
  package init?(offset: Int, count: Int) {
    guard offset >= 0, count > 0, !offset.addingReportingOverflow(count).overflow else {
      return nil
    }
    self.offset = offset
    self.count = count
  }

  package var end: Int { offset + count }
  package var last: Int { end - 1 }

  package func contains(_ other: ByteRange) -> Bool {
    offset <= other.offset && other.end <= end
  }

  /// What both have, or nil when they do not meet.
  package func intersection(_ other: ByteRange) -> ByteRange? {
    let start = max(offset, other.offset)
    return ByteRange(offset: start, count: min(end, other.end) - start)
  }
}
