import Content

/// What makes machines near each other: the operator's label, by its number in `SiteLabels`, else
/// their network.
enum SiteKey: Hashable, Sendable {
  case label(UInt32)
  case network(IPAddress)
}

/// The members of one package by site.
///
/// Invariant, once `isSplit`: in each site `holderCounts[p]` is the number of its counted members
/// that hold p, `underwayCounts[p]` the number of leases and crossings for p of its counted members
/// that do not hold it yet, and p is in `open` exactly when both are 0.
struct SiteMap: Sendable {
  /// Sites told apart; members of further ones go without.
  static let countMax = 32
  /// The index of no site.
  static let none: Int32 = -1

  struct Site: Sendable {
    let key: SiteKey
    /// Members, and those of them that are counted.
    var totalCount = 0
    var memberCount = 0
    var holderCounts: [UInt32] = []
    var underwayCounts: [UInt32] = []
    var open = PieceSet(pieceCount: 0)
    /// Where the next crossing is looked for.
    var cursor = 0
  }

  private(set) var sites: [Site] = []
  private var indices: [SiteKey: Int32] = [:]
  /// Sites with counted members.
  private(set) var populatedCount = 0
  /// Pieces are counted by site. Stays so until the table is empty: to begin costs a look at every
  /// member.
  private(set) var isSplit = false

  var mustSplit: Bool {
    !isSplit && populatedCount > 1 && sites.contains { $0.memberCount > 1 }
  }

  func key(_ site: Int32) -> SiteKey? { site < 0 ? nil : sites[Int(site)].key }

  mutating func join(_ key: SiteKey, pieceCount: Int) -> Int32 {
    if let index = indices[key] {
      sites[Int(index)].totalCount += 1
      return index
    }
    let free = sites.firstIndex { $0.totalCount == 0 }
    guard let index = free ?? (sites.count < Self.countMax ? sites.count : nil) else {
      return Self.none
    }
    var site = Site(key: key)
    site.totalCount = 1
    if isSplit { site.startCounting(pieceCount: pieceCount) }
    if index == sites.count {
      sites.append(site)
    } else {
      indices[sites[index].key] = nil
      sites[index] = site
    }
    indices[key] = Int32(index)
    return Int32(index)
  }

  /// `isLast`: nobody is left in the table.
  mutating func leave(_ site: Int32, isLast: Bool) {
    if isLast { self = SiteMap() } else if site >= 0 { sites[Int(site)].totalCount -= 1 }
  }

  mutating func count(_ site: Int32, by step: Int) {
    guard site >= 0 else { return }
    let old = sites[Int(site)].memberCount
    sites[Int(site)].memberCount += step
    if old == 0 { populatedCount += 1 }
    if old + step == 0 { populatedCount -= 1 }
  }

  mutating func split(pieceCount: Int) {
    isSplit = true
    for index in sites.indices { sites[index].startCounting(pieceCount: pieceCount) }
  }

  mutating func changeHolders(of piece: PieceIndex, in site: Int32, by step: Int) {
    guard isSplit, site >= 0 else { return }
    sites[Int(site)].changeHolders(of: piece, by: step)
  }

  mutating func changeUnderway(of piece: PieceIndex, in site: Int32, by step: Int) {
    guard isSplit, site >= 0 else { return }
    sites[Int(site)].changeUnderway(of: piece, by: step)
  }

  mutating func setCursor(_ site: Int32, _ cursor: Int) { sites[Int(site)].cursor = cursor }

  /// Machines of this site wait for each other instead of fetching from afar: there are several,
  /// and other sites too.
  func shares(_ site: Int32, counted: Bool) -> Bool {
    guard isSplit, site >= 0 else { return false }
    let own = sites[Int(site)].memberCount
    return own + (counted ? 0 : 1) > 1 && own > 0 && populatedCount > 1
  }
}

extension SiteMap.Site {
  fileprivate mutating func startCounting(pieceCount: Int) {
    holderCounts = Array(repeating: 0, count: pieceCount)
    underwayCounts = Array(repeating: 0, count: pieceCount)
    open = .full(pieceCount: pieceCount)
  }

  fileprivate mutating func changeHolders(of piece: PieceIndex, by step: Int) {
    holderCounts[piece.rawValue] = UInt32(max(0, Int(holderCounts[piece.rawValue]) + step))
    refresh(piece)
  }

  fileprivate mutating func changeUnderway(of piece: PieceIndex, by step: Int) {
    underwayCounts[piece.rawValue] = UInt32(max(0, Int(underwayCounts[piece.rawValue]) + step))
    refresh(piece)
  }

  private mutating func refresh(_ piece: PieceIndex) {
    if holderCounts[piece.rawValue] == 0, underwayCounts[piece.rawValue] == 0 {
      open.insert(piece)
    } else {
      open.remove(piece)
    }
  }
}

/// One copy crosses into each site.
extension PackageTable {
  /// The member asks sources of other sites only for what it is to bring across.
  func staysNear(_ index: Int) -> Bool {
    sites.shares(members[index].site, counted: members[index].isCounted)
  }

  /// Chooses what the member brings into its site and books it: pieces that others have, and that
  /// nobody of its site has or was given, in the order of the file. `byteRate` is what peers send it.
  mutating func cross(
    wantedPieceCount: Int, byteRate: Int, deadline: Instant, at index: Int
  ) -> [PieceRun] {
    guard members[index].isCounted, staysNear(index) else { return [] }
    let siteIndex = members[index].site
    var candidates = out
    candidates.formIntersection(sites.sites[Int(siteIndex)].open)
    guard !candidates.isEmpty else { return [] }
    candidates.subtract(held(index))
    guard !candidates.isEmpty else { return [] }
    let runMax = RunLength.crossingPieces(pieceByteCount: geometry.pieceByteCount)
    let quota = RunLength.outstandingCrossingPieces(
      memberCount: sites.sites[Int(siteIndex)].memberCount,
      pieceByteCount: geometry.pieceByteCount, byteRate: byteRate,
      openPieceCount: candidates.count)
    var room = min(wantedPieceCount, quota - outstandingCrossingCount(index))
    var cursor = sites.sites[Int(siteIndex)].cursor
    let runs = Self.cut(candidates, runMax: runMax, room: &room, cursor: &cursor)
    for run in runs { addCrossing(LeaseRecord(run: run, deadline: deadline), at: index) }
    sites.setCursor(siteIndex, cursor)
    return runs
  }
}
