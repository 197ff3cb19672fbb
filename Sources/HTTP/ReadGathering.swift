import Content

/// How many bytes of a body a connection waits for before it is woken. Bytes come in small parts on
/// many connections, and a wake-up costs more than reading a part: what nothing can be done with yet
/// gathers in the kernel. Pure: the connection tells the kernel, and minds the time.
struct ReadGathering {
  /// Of a receive buffer of usual size, little enough that the sender never waits for us.
  static let byteCountMax = 64 * 1024
  /// Nothing that has arrived lies longer than this: somebody measures how fast it comes.
  static let waitMax = Duration.milliseconds(80)

  /// What the kernel was told.
  private(set) var byteCount = 1

  /// A part of a body was read, of which `missing` bytes are still to come before something can be
  /// done with it; 0 when what comes next is to be told at once.
  /// - Returns: what the kernel is to be told, nil when it knows.
  mutating func read(missing: Int) -> Int? {
    change(to: max(1, min(missing, Self.byteCountMax)))
  }

  /// Nothing was read for `waitMax`: what has come is wanted now, however little it is.
  mutating func becameQuiet() -> Int? { change(to: 1) }

  private mutating func change(to count: Int) -> Int? {
    guard count != byteCount else { return nil }
    byteCount = count
    return count
  }
}
