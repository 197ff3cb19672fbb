import Content
import Swarm

/// One response on its way through the simulated network.
struct Flow: Sendable {
  let client: Int
  let server: Int
  let request: RequestID
  let run: PieceRun
  let start: Instant
  /// The piece that is being sent, and how many of its bytes are left.
  var next: Int
  var left: Double
  var rate = 0.0
  var sentByteCount = 0
  /// Since the last progress report.
  var movedByteCount = 0.0
  var isFrozen = false
}

/// Access links shared max-min fairly: the rates grow together until a link is full, then those on
/// it stay and the others go on (Bertsekas and Gallager, "Data Networks", 6.5.2). The core has no
/// limits.
struct Network: Sendable {
  /// Rates are worked out anew at most this often: what changes in between waits so long.
  static let quantum: Duration = .microseconds(100)

  let upRates: [Double]
  let downRates: [Double]
  var flows: [Flow] = []
  private var advancedAt: Instant = .zero
  private(set) var sharedAt = Instant(nanoseconds: -1_000_000_000)
  var isDirty = false

  init(upRates: [Double], downRates: [Double]) {
    self.upRates = upRates
    self.downRates = downRates
  }

  /// Moves bytes up to `now` at the rates as they are.
  mutating func advance(to now: Instant) {
    let seconds = (now - advancedAt).seconds
    advancedAt = now
    guard seconds > 0 else { return }
    for index in flows.indices {
      let moved = flows[index].rate * seconds
      flows[index].left -= moved
      flows[index].movedByteCount += moved
    }
  }

  /// Works the rates out anew; the flows are advanced to `now`.
  mutating func share(now: Instant) {
    isDirty = false
    sharedAt = now
    let linkCount = upRates.count + downRates.count
    var capacity = upRates + downRates
    var userCount = [Int](repeating: 0, count: linkCount)
    var open: [Int] = []
    for index in flows.indices {
      flows[index].rate = 0
      if flows[index].isFrozen { continue }
      open.append(index)
      userCount[flows[index].server] += 1
      userCount[upRates.count + flows[index].client] += 1
    }
    while !open.isEmpty {
      var fairest = Double.infinity
      for link in 0..<linkCount where userCount[link] > 0 {
        fairest = min(fairest, capacity[link] / Double(userCount[link]))
      }
      let limit = fairest * (1 + 1e-9)
      var isFull = [Bool](repeating: false, count: linkCount)
      for link in 0..<linkCount where userCount[link] > 0 {
        isFull[link] = capacity[link] / Double(userCount[link]) <= limit
      }
      open.removeAll { index in
        let up = flows[index].server
        let down = upRates.count + flows[index].client
        guard isFull[up] || isFull[down] else { return false }
        flows[index].rate = fairest
        for link in [up, down] {
          capacity[link] = max(0, capacity[link] - fairest)
          userCount[link] -= 1
        }
        return true
      }
    }
  }

  /// When the next piece is out, at the rates as they are.
  func nextCompletion(now: Instant) -> Instant? {
    var least = Double.infinity
    for flow in flows where flow.rate > 0 { least = min(least, max(0, flow.left) / flow.rate) }
    return least.isFinite ? now + .nanoseconds(Int64(least * 1e9) + 1) : nil
  }
}
