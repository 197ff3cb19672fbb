import Content

/// When the origin helps out.
extension Download {
  /// Neighbours to fetch from at a time while the origin sends us what nobody has: each takes an
  /// equal part of our line, so as few as leave the leases the part they need to be here within
  /// `RunLength.grantPeriod`. A run or two say nothing of what the origin can do, and one that has
  /// sent nothing for a while is not waited for.
  func widthBesidesLeases(now: Instant) -> Int {
    let byteCount = leasedOutstandingCount * geometry.pieceByteCount
    guard byteCount > limits.leaseByteCountMin, neighbours[0].outstandingCount > 0,
      now - neighbours[0].lastProgress < limits.leaseSilence, let rate = speed.byteRate(now: now)
    else { return .max }
    let part = Double(byteCount) / (rate * RunLength.grantPeriod.seconds)
    return max(limits.sourceCountBesidesLeases, Int((1 / part).rounded(.up)) - 1)
  }

  /// Whoever is behind those that download beside it asks more of them: uplinks are shared by
  /// requests, so who was unlucky with its sources would go on getting less, and be the last.
  var widthToCatchUp: Int {
    var (heldCount, openCount) = (0, 0)
    for index in 1..<neighbours.count
    where neighbours[index].stream == .open && !bitmaps[index].isFull {
      heldCount += bitmaps[index].count
      openCount += 1
    }
    guard openCount > 0 else { return 0 }
    let byteCount = (heldCount / openCount - held.count) * geometry.pieceByteCount
    return min(max(0, byteCount / limits.lagByteCount), limits.sourceCountToCatchUp)
  }

  /// The origin sends pieces that slow peers were asked for: those requests are given up, and what
  /// the leases do not name is free again. A request that is soon over, or too young to be judged,
  /// goes on.
  mutating func reclaim(_ leases: [Lease], now: Instant, effects: inout [Effect]) {
    for request in requests where !request.source.isOrigin {
      guard now - request.start >= limits.peerMeasureTime,
        leases.contains(where: { $0.run.indices.overlaps(request.rest) }),
        timeLeft(of: request, now: now) >= limits.slowRequestTime,
        let index = neighbourIndex(request.source)
      else { continue }
      effects.append(.cancel(request.id))
      requests.removeAll { $0.id == request.id }
      neighbours[index].outstandingCount -= 1
      giveBack(request)
    }
  }

  /// At the speed it had so far: a request of which no piece has come is taken to be about to get
  /// its first.
  private func timeLeft(of request: Request, now: Instant) -> Duration {
    let byteCount = max(request.byteCount, geometry.pieceByteCount)
    return (now - request.start)
      * (Double(request.rest.count * geometry.pieceByteCount) / Double(byteCount))
  }
}
