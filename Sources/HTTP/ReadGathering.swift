import Content

/// How many bytes of a body a connection waits for before it is woken. Bytes come in small parts on
/// many connections, and a wake-up costs more than reading a part: while they come fast, they gather
/// in the kernel. Pure: `now` is an argument, and the connection tells the kernel.
struct ReadGathering {
  /// Of a receive buffer of usual size, little enough that the sender never waits for us.
  static let byteCountMax = 32 * 1024
  static let byteCountMin = 4 * 1024
  /// Parts that come within this time of each other are few enough bytes: more may gather.
  static let shortWait = Duration.milliseconds(10)
  /// Nothing that has arrived lies longer than this.
  static let waitMax = Duration.milliseconds(30)

  /// What the kernel was told.
  private(set) var byteCount = 1
  private var wanted = Self.byteCountMin
  private var lastRead: Instant?

  /// A part of a body was read, of which `missing` bytes are still to come before something can be
  /// done with it; 0 when what comes next is to be told at once.
  /// - Returns: what the kernel is to be told, nil when it knows.
  mutating func read(missing: Int, now: Instant) -> Int? {
    if let lastRead {
      let wait = now - lastRead
      if wait <= Self.shortWait { wanted = min(wanted * 2, Self.byteCountMax) }
      if wait > Self.waitMax { wanted = Self.byteCountMin }
    }
    lastRead = now
    return change(to: max(1, min(wanted, missing)))
  }

  /// Nothing was read for `waitMax`: the source has become slow.
  mutating func becameQuiet() -> Int? {
    wanted = Self.byteCountMin
    return change(to: 1)
  }

  private mutating func change(to count: Int) -> Int? {
    guard count != byteCount else { return nil }
    byteCount = count
    return count
  }
}
