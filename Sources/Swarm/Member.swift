import Content

/// A run the origin is sending to a member.
struct LeaseRecord: Sendable {
  var run: PieceRun
  var deadline: Instant
  /// All of it has left the origin.
  var isSent = false
  /// Bytes of it that were asked for.
  var fetchedByteCount = 0
}

/// One peer's place in the table of one package: small, because there is one for every peer and
/// package. Its bitmap is in the table's pool, and only while it holds some pieces and not all.
struct Member: Keyed {
  private static let countedFlag: UInt8 = 1
  private static let knownFlag: UInt8 = 2
  /// One answer, counted in the bits above the flags.
  private static let answerStep: UInt8 = 4

  let slot: UInt32
  /// The table that the peer joined before this one.
  var nextTable: UInt32
  var bitmap = BitmapPool.none
  /// How large the swarm was when it was last told of all the sources it may have.
  var toldMemberCount: UInt32 = 0
  /// How many leases of the package there had been when it was last told of promises.
  var toldGrantCount: UInt32
  private var heldPieceCount: UInt16 = 0
  private var siteIndex = Int8(SiteMap.none)
  private var flags: UInt8 = 0
  var leases: [LeaseRecord] = []
  /// What it brings into its site from others.
  var crossings: [LeaseRecord] = []

  init(slot: UInt32, nextTable: UInt32, toldGrantCount: UInt32) {
    self.slot = slot
    self.nextTable = nextTable
    self.toldGrantCount = toldGrantCount
  }

  var keyHash: UInt64 { UInt64(slot) }

  var heldCount: Int {
    get { Int(heldPieceCount) }
    set { heldPieceCount = UInt16(newValue) }
  }

  var site: Int32 {
    get { Int32(siteIndex) }
    set { siteIndex = Int8(newValue) }
  }

  /// Its pieces and leases are in the counts.
  var isCounted: Bool {
    get { flags & Self.countedFlag != 0 }
    set { flags = newValue ? flags | Self.countedFlag : flags & ~Self.countedFlag }
  }

  /// It has told its whole bitmap to this tracker.
  var isKnown: Bool {
    get { flags & Self.knownFlag != 0 }
    set { flags = newValue ? flags | Self.knownFlag : flags & ~Self.knownFlag }
  }

  /// Counts one answer.
  /// - Returns: how many there were, from 0 and modulo 64.
  mutating func countAnswer() -> Int {
    defer { flags &+= Self.answerStep }
    return Int(flags / Self.answerStep)
  }

  /// Something is leased to it, or it brings something into its site.
  var isAwaiting: Bool { !leases.isEmpty || !crossings.isEmpty }

  func hasLeased(_ piece: PieceIndex) -> Bool {
    leases.contains { $0.run.contains(piece) }
  }

  func wasSent(_ piece: PieceIndex) -> Bool {
    leases.contains { $0.isSent && $0.run.contains(piece) }
  }

  func isBringing(_ piece: PieceIndex) -> Bool {
    crossings.contains { $0.run.contains(piece) }
  }
}
