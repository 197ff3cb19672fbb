import Content

/// Something the tracker looks at again at a given time. Entries are never removed early: when one
/// comes up, what it names is looked at as it is then.
struct Deadline: Comparable, Sendable {
  enum Subject: Hashable, Sendable {
    case peer
    case leases(table: UInt32)
  }

  let instant: Instant
  /// Orders equal instants the way they were entered.
  let number: UInt64
  let slot: UInt32
  let generation: UInt32
  let subject: Subject

  static func < (left: Self, right: Self) -> Bool {
    (left.instant, left.number) < (right.instant, right.number)
  }
}
