import Content
import DequeModule

/// Who holds which piece of one package, and which pieces are on their way.
///
/// Invariant: `holderCounts[p]` is the number of counted members that hold p, `leaseCounts[p]` the
/// number of leases for p whose counted member does not hold it yet, and p is in `unheld` exactly
/// when both are 0: only the origin has it. `out` are the pieces that counted members hold.
struct PackageTable: Sendable {
  static let grantCountMax = 128
  static let nearPromiseCountMax = 16

  let id: PackageID
  let geometry: Geometry
  /// False in the place of a package that was withdrawn.
  let isPresent: Bool
  let pieceCount: Int
  // What is not private here is for the table's other parts.
  var members = Pages<Member>()
  private var positions = PositionTable()
  var bitmaps: BitmapPool
  private var holderCounts: [UInt32]
  private var leaseCounts: [UInt8]
  private(set) var unheld: PieceSet
  private(set) var out: PieceSet
  var sites = SiteMap()
  /// Counted members that still need pieces.
  private(set) var askerCount = 0
  /// Members that hold everything.
  var seedCount = 0
  /// Pieces leased and not held by whom they were leased to.
  private(set) var leasedPieceCount = 0
  /// Of those, the ones that have left the origin: their members have not told of them yet.
  var sentPieceCount = 0
  /// What the origin still has to send.
  var unsentPieceCount: Int { max(0, leasedPieceCount - sentPieceCount) }
  /// Where the next fresh piece is looked for: pieces go out in the order of the file.
  var cursor = 0
  /// The latest leases, for promises, and how many there were in all, modulo 2^32.
  var grants: Deque<(slot: UInt32, run: PieceRun, expected: Instant)> = []
  var grantCount: UInt32 = 0
  /// What starving members may still be sent again, in pieces.
  var spareCount: Double
  var spareFilled: Instant = .zero
  /// Pieces the origin sent again because their holders were slow: each once before any twice.
  var helped: PieceSet
  var originByteCount = 0
  /// The part of it that members asked for; what is under way is in it.
  var swarmByteCount = 0
  /// Bytes that members were reported to have sent each other.
  var peerByteCount = 0
  var announceCount: UInt64 = 0

  init(id: PackageID, geometry: Geometry) { self.init(id: id, geometry: geometry, isPresent: true) }

  /// No package.
  static var vacant: PackageTable {
    guard let geometry = Geometry(byteCount: 0) else {
      preconditionFailure("an empty package is small enough")
    }
    return PackageTable(id: PackageID(root: .zero), geometry: geometry, isPresent: false)
  }

  private init(id: PackageID, geometry: Geometry, isPresent: Bool) {
    self.id = id
    self.geometry = geometry
    self.isPresent = isPresent
    pieceCount = geometry.pieceCount
    bitmaps = BitmapPool(pieceCount: pieceCount)
    holderCounts = Array(repeating: 0, count: pieceCount)
    leaseCounts = Array(repeating: 0, count: pieceCount)
    unheld = .full(pieceCount: pieceCount)
    out = PieceSet(pieceCount: pieceCount)
    helped = out
    spareCount = Self.spareCountMax(pieceCount: pieceCount)
  }

  static func spareCountMax(pieceCount: Int) -> Double { max(2, Double(pieceCount) / 100) }

  func index(of slot: UInt32) -> Int? {
    positions.first(hash: UInt64(slot)) { members[Int($0)].slot == slot }.map { Int($0) }
  }

  func isMember(_ slot: UInt32, at index: Int) -> Bool {
    index < members.count && members[index].slot == slot
  }

  func holderCount(of piece: PieceIndex) -> Int { Int(holderCounts[piece.rawValue]) }
  func leaseCount(of piece: PieceIndex) -> Int { Int(leaseCounts[piece.rawValue]) }

  var heldPieceCount: Int { out.count }

  // MARK: Members

  /// - Parameter nextTable: the table that the peer joined before.
  mutating func join(
    slot: UInt32, isServing: Bool, site: SiteKey, nextTable: UInt32
  ) -> Int {
    let index = members.count
    // Told of nothing yet: all that is still kept is new to it.
    var member = Member(
      slot: slot, nextTable: nextTable, toldGrantCount: grantCount &- UInt32(grants.count))
    member.site = sites.join(site, pieceCount: pieceCount)
    members.append(member)
    positions.insert(UInt32(index), in: members)
    if isFull(index) { seedCount += 1 }
    setCounted(isServing, at: index)
    return index
  }

  /// - Returns: the table that the peer joined before this one.
  @discardableResult
  mutating func leave(slot: UInt32) -> UInt32 {
    guard let index = index(of: slot) else { return PeerRecord.noTable }
    setCounted(false, at: index)
    if isFull(index) { seedCount -= 1 }
    let (bitmap, next) = (members[index].bitmap, members[index].nextTable)
    if bitmap != BitmapPool.none { bitmaps.giveBack(bitmap) }
    sites.leave(members[index].site, isLast: members.count == 1)
    positions.remove(UInt32(index), in: members)
    let last = members.count - 1
    if index != last {
      members.swapAt(index, last)
      positions.move(
        from: UInt32(last), to: UInt32(index), hash: members[index].keyHash)
    }
    members.removeLast()
    return next
  }

  /// The member has moved, or its operator has named its site anew.
  mutating func setSite(_ key: SiteKey, at index: Int) {
    guard sites.key(members[index].site) != key else { return }
    let isCounted = members[index].isCounted
    setCounted(false, at: index)
    sites.leave(members[index].site, isLast: false)
    members[index].site = sites.join(key, pieceCount: pieceCount)
    setCounted(isCounted, at: index)
  }

  /// Brings the member's pieces and leases into the counts or takes them out.
  mutating func setCounted(_ isCounted: Bool, at index: Int) {
    guard members[index].isCounted != isCounted else { return }
    let step = isCounted ? 1 : -1
    if !isCounted { yieldLeases(at: index) }
    members[index].isCounted = isCounted
    if isCounted { members[index].leases = [] }
    let site = members[index].site
    sites.count(site, by: step)
    for wordIndex in 0..<unheld.wordCount {
      Self.forEachPiece(of: word(wordIndex, at: index), wordIndex) {
        changeHolders(of: $0, by: step, in: site)
      }
    }
    if !isFull(index) { askerCount += step }
    if sites.mustSplit { splitSites() }
  }

  /// From now on pieces are counted by site.
  private mutating func splitSites() {
    sites.split(pieceCount: pieceCount)
    for index in members.indices where members[index].isCounted {
      let (held, site) = (held(index), members[index].site)
      held.forEach { sites.changeHolders(of: $0, in: site, by: 1) }
      var leased = PieceSet(pieceCount: pieceCount)
      for lease in members[index].leases { leased.insert(lease.run) }
      leased.subtract(held)
      leased.forEach { sites.changeUnderway(of: $0, in: site, by: 1) }
    }
  }

  // MARK: Reports

  mutating func replaceHoldings(_ held: PieceSet, at index: Int) {
    for wordIndex in 0..<held.wordCount {
      let (old, new) = (word(wordIndex, at: index), held.word(wordIndex))
      if old & ~new != 0 { evict(old & ~new, wordIndex, at: index) }
      if new & ~old != 0 { gain(new & ~old, wordIndex, at: index) }
    }
    members[index].isKnown = true
    finishUpdate(at: index)
  }

  /// Runs outside the package are ignored.
  mutating func change(gained: [PieceRun], evicted: [PieceRun], at index: Int) {
    for run in evicted where run.end <= pieceCount {
      Self.forEachWord(of: run) { pieces, wordIndex in
        let old = pieces & word(wordIndex, at: index)
        if old != 0 { evict(old, wordIndex, at: index) }
      }
    }
    for run in gained where run.end <= pieceCount {
      Self.forEachWord(of: run) { pieces, wordIndex in
        let new = pieces & ~word(wordIndex, at: index)
        if new != 0 { gain(new, wordIndex, at: index) }
      }
    }
    finishUpdate(at: index)
  }

  /// Pieces of one word that the member did not hold.
  private mutating func gain(_ pieces: UInt64, _ wordIndex: Int, at index: Int) {
    insert(pieces, wordIndex, at: index)
    guard members[index].isCounted else { return }
    recount(pieces, wordIndex, held: 1, at: index)
    if isFull(index) { askerCount -= 1 }
  }

  /// Pieces of one word that the member held.
  private mutating func evict(_ pieces: UInt64, _ wordIndex: Int, at index: Int) {
    let wasFull = isFull(index)
    remove(pieces, wordIndex, at: index)
    guard members[index].isCounted else { return }
    if wasFull { askerCount += 1 }
    recount(pieces, wordIndex, held: -1, at: index)
  }

  private mutating func recount(
    _ pieces: UInt64, _ wordIndex: Int, held step: Int, at index: Int
  ) {
    let site = members[index].site
    // Of most members nothing is under way, and they have many pieces.
    let isAwaiting = members[index].isAwaiting
    Self.forEachPiece(of: pieces, wordIndex) { piece in
      if isAwaiting {
        if members[index].hasLeased(piece) { changeLeases(of: piece, by: -step, at: index) }
        if members[index].isBringing(piece) {
          sites.changeUnderway(of: piece, in: site, by: -step)
        }
      }
      changeHolders(of: piece, by: step, in: site)
    }
  }

  private mutating func finishUpdate(at index: Int) {
    if !members[index].leases.isEmpty {
      members[index].leases = members[index].leases.filter { !holds($0.run, at: index) }
    }
    if !members[index].crossings.isEmpty {
      members[index].crossings = members[index].crossings.filter { !holds($0.run, at: index) }
    }
  }

  // MARK: Counts

  mutating func changeHolders(of piece: PieceIndex, by step: Int, in site: Int32) {
    let old = holderCounts[piece.rawValue]
    let new = UInt32(Int(old) + step)
    holderCounts[piece.rawValue] = new
    sites.changeHolders(of: piece, in: site, by: step)
    if (old == 0) != (new == 0) { refresh(piece) }
  }

  /// The lease that names the piece is among the member's.
  mutating func changeLeases(of piece: PieceIndex, by step: Int, at index: Int) {
    sites.changeUnderway(of: piece, in: members[index].site, by: step)
    if members[index].wasSent(piece) { sentPieceCount += step }
    let old = Int(leaseCounts[piece.rawValue])
    // Saturates: beyond 255 leases for one piece the count would only be too low.
    let new = min(max(old + step, 0), Int(UInt8.max))
    leaseCounts[piece.rawValue] = UInt8(new)
    leasedPieceCount += new - old
    if (old == 0) != (new == 0) { refresh(piece) }
  }

  private mutating func refresh(_ piece: PieceIndex) {
    if holderCounts[piece.rawValue] == 0 { out.remove(piece) } else { out.insert(piece) }
    if holderCounts[piece.rawValue] == 0, leaseCounts[piece.rawValue] == 0 {
      unheld.insert(piece)
    } else {
      unheld.remove(piece)
    }
  }
}
