import Content

/// When the origin helps out.
extension Download {
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
