import Content

/// Something the tracker looks at again at a given time. Entries are never removed early: when
/// one comes up, what it names is looked at as it is then. Equal instants come in the order of
/// the slots.
protocol Deadline: Comparable, Sendable {
  var instant: Instant { get }
  var slot: UInt32 { get }
  /// Whose slot it was.
  var generation: UInt32 { get }
}

/// A peer may have been silent for too long.
struct PeerDeadline: Deadline {
  let instant: Instant
  let slot: UInt32
  let generation: UInt32

  static func < (left: Self, right: Self) -> Bool {
    if left.instant != right.instant { return left.instant < right.instant }
    return (left.slot, left.generation) < (right.slot, right.generation)
  }
}

/// Leases of a peer may be over.
struct LeaseDeadline: Deadline {
  let instant: Instant
  let slot: UInt32
  let generation: UInt32
  let table: UInt32

  static func < (left: Self, right: Self) -> Bool {
    if left.instant != right.instant { return left.instant < right.instant }
    return (left.slot, left.generation, left.table) < (right.slot, right.generation, right.table)
  }
}
