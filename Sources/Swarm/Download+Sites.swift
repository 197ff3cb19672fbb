import Content

/// What a download may fetch from other sites: while the tracker says so, only what it was given to
/// bring across; the rest comes from machines of its own site that were given it.
struct SiteRule: Sendable {
  var staysNear = false
  var crossings: [LeaseRecord] = []
  /// The pieces of `crossings`.
  var granted: PieceSet
  /// Pieces of the last grant: the next is asked for when half of it has come.
  var grantCount = 0
  /// When bytes first came from a peer.
  var firstPeerArrival: Instant?
  var peerSpeed = SpeedMeter()

  init(pieceCount: Int) { granted = PieceSet(pieceCount: pieceCount) }
}

extension Download {
  /// What a neighbour may be asked for, of what it holds.
  func offered(_ index: Int) -> PieceSet {
    guard isFar(index) else { return bitmaps[index] }
    var pieces = bitmaps[index]
    pieces.formIntersection(site.granted)
    return pieces
  }

  func offers(_ piece: PieceIndex, _ index: Int) -> Bool {
    bitmaps[index].contains(piece) && (!isFar(index) || site.granted.contains(piece))
  }

  /// It may be asked for something that is needed.
  func offersNeeded(_ index: Int) -> Bool {
    // Without a copy where no rule asks for one: this is looked at for everybody, all the time.
    isFar(index)
      ? !offered(index).isDisjoint(with: needed) : !bitmaps[index].isDisjoint(with: needed)
  }

  /// Only what is to be brought across may be asked of it.
  private func isFar(_ index: Int) -> Bool {
    site.staysNear && !neighbours[index].source.isNear
  }

  mutating func takeCrossings(_ referral: PackageReferral, now: Instant) {
    site.staysNear = referral.staysNear
    site.grantCount = 0
    if !referral.staysNear { site.crossings = [] }
    for crossing in referral.crossings where geometry.contains(crossing.run) {
      site.crossings.append(LeaseRecord(run: crossing.run, deadline: now + crossing.term))
      site.grantCount += crossing.run.count
    }
    grantCrossings()
    for promise in referral.promises where promise.expected == .zero {
      vouch(for: promise.holder, promise.run)
    }
  }

  private mutating func grantCrossings() {
    site.granted = PieceSet(pieceCount: geometry.pieceCount)
    for crossing in site.crossings { site.granted.insert(crossing.run) }
    for index in neighbours.indices where neighbours[index].isVouchedFor {
      bitmaps[index].subtracting(site.granted).forEach {
        bitmaps[index].remove($0)
        availability[$0.rawValue] -= 1
      }
      neighbours[index].isVouchedFor = !bitmaps[index].isEmpty
    }
  }

  /// The tracker names a machine of another site that holds a crossing: it is asked without being
  /// followed.
  private mutating func vouch(for peer: PeerID, _ run: PieceRun) {
    guard geometry.contains(run), let index = neighbourIndex(peer), !peer.isOrigin,
      neighbours[index].stream != .open, !neighbours[index].source.isNear
    else { return }
    for piece in run.pieces where site.granted.contains(piece) {
      neighbours[index].isVouchedFor = true
      if bitmaps[index].insert(piece) { availability[piece.rawValue] += 1 }
    }
  }

  /// Forgets crossings that are over. One that has had nothing for `lonelyTime`, and has
  /// nothing under way, fetches from wherever it can.
  mutating func watchSite(now: Instant) {
    guard site.staysNear else { return }
    let count = site.crossings.count
    site.crossings.removeAll { $0.deadline <= now || held.contains($0.run) }
    if site.crossings.count != count { grantCrossings() }
    if requests.isEmpty, leased.isEmpty, !needed.isEmpty,
      now - lastArrival >= limits.lonelyTime
    {
      site.staysNear = false
    }
  }

  /// Half of what it was given to bring across is here: it may be given more.
  var wantsCrossing: Bool {
    guard site.staysNear, site.grantCount > 0 else { return false }
    var left = 0
    for crossing in site.crossings {
      for piece in crossing.run.pieces where !held.contains(piece) { left += 1 }
    }
    return left <= site.grantCount / 2
  }

  /// Have-streams to other sites: each carries the news of every piece across. One is enough, unless
  /// nobody that we know of has what is to be brought.
  var farFollowCountMax: Int {
    guard site.staysNear else { return limits.followCountMax }
    var wanted = site.granted
    wanted.formIntersection(needed)
    for index in neighbours.indices where !wanted.isEmpty {
      wanted.subtract(bitmaps[index])
    }
    return wanted.isEmpty ? limits.farFollowCountMax : limits.followCountMax
  }

  mutating func measurePeers(byteCount: Int, now: Instant) {
    if site.firstPeerArrival == nil { site.firstPeerArrival = now }
    site.peerSpeed.add(byteCount: byteCount, now: now)
  }

  /// Bytes a second from peers; 0 while it is too early to tell, 1 when they were asked and nothing
  /// has come.
  func peerByteRate(now: Instant) -> Int {
    let start =
      site.firstPeerArrival
      ?? requests.lazy.filter { !$0.source.isOrigin }.map(\.start).min()
    guard let start, now - start >= limits.peerMeasureTime else { return 0 }
    guard let rate = site.peerSpeed.byteRate(now: now) else { return requests.isEmpty ? 0 : 1 }
    return max(1, Int(min(rate, 1e12)))
  }
}
