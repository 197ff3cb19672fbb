import Content

/// The comparisons of the loops over neighbours. Those of the types themselves are calls into
/// another room, some through a witness table.
extension Instant {
  @inline(__always) static func < (left: Self, right: Self) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
  @inline(__always) static func <= (left: Self, right: Self) -> Bool {
    left.nanoseconds <= right.nanoseconds
  }
  @inline(__always) static func > (left: Self, right: Self) -> Bool {
    left.nanoseconds > right.nanoseconds
  }
  @inline(__always) static func >= (left: Self, right: Self) -> Bool {
    left.nanoseconds >= right.nanoseconds
  }
}

extension PeerID {
  @inline(__always) static func == (left: Self, right: Self) -> Bool {
    left.high == right.high && left.low == right.low
  }
}
