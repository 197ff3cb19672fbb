/// Rates of flows over links of limited capacity, shared max-min fairly: the rates on a link grow
/// together until it is full or a flow is held back elsewhere (Bertsekas and Gallager, "Data
/// Networks", 6.5.2).
///
/// Every link has a level: what a flow of weight 1 would get there. A flow's rate is its weight times
/// the lowest level on its path, so a link's level follows from those of its flows' other links. When
/// a flow comes or goes only its own links are worked out anew, then those that a new level reaches,
/// until nothing changes (Charny, Clark and Jain, "Congestion control with explicit rate indication",
/// 1995: the levels settle from the lowest up, and where they settle is the max-min sharing). With a
/// `tolerance` above 0 a level that would change by less stays, which keeps the work near the
/// change; no rate is off by more than about that part.
struct LinkSharing: Sendable {
  /// Up to four links; -1 where there are fewer.
  typealias Path = SIMD4<Int32>

  private struct Flow: Sendable {
    var path: Path
    var weight: Double
    var rate = 0.0
  }

  /// A level is worked out at most this often for each link that was changed.
  private static let roundCountMax = 256

  let capacities: [Double]
  let tolerance: Double
  /// What a flow of weight 1 gets; infinite on a link that holds nobody back.
  private(set) var levels: [Double]
  private var members: [[Int32]]
  private var flows: [Flow] = []
  private var freeFlows: [Int32] = []
  private var isQueued: [Bool]
  private var queue: [Int32] = []
  private var touched: [Int32] = []
  private var ceilings: [(level: Double, weight: Double)] = []

  init(capacities: [Double], tolerance: Double) {
    self.capacities = capacities
    self.tolerance = max(tolerance, 1e-9)
    levels = Array(repeating: .infinity, count: capacities.count)
    members = Array(repeating: [], count: capacities.count)
    isQueued = Array(repeating: false, count: capacities.count)
  }

  /// Something changed since the rates were worked out.
  var isDirty: Bool { !queue.isEmpty }

  /// It holds its flows back: there is a queue in front of it.
  func isFull(_ link: Int) -> Bool { levels[link].isFinite }

  func rate(of flow: Int) -> Double { flows[flow].rate }

  mutating func add(_ path: Path, weight: Double) -> Int {
    let flow: Int
    if let free = freeFlows.popLast() {
      flow = Int(free)
      flows[flow] = Flow(path: path, weight: weight)
    } else {
      flow = flows.count
      flows.append(Flow(path: path, weight: weight))
    }
    for place in 0..<4 where path[place] >= 0 {
      members[Int(path[place])].append(Int32(flow))
      enqueue(path[place])
    }
    return flow
  }

  mutating func remove(_ flow: Int) {
    let path = flows[flow].path
    for place in 0..<4 where path[place] >= 0 {
      let link = Int(path[place])
      if let position = members[link].firstIndex(of: Int32(flow)) {
        members[link].swapAt(position, members[link].count - 1)
        members[link].removeLast()
      }
      enqueue(path[place])
    }
    flows[flow].rate = 0
    freeFlows.append(Int32(flow))
  }

  private mutating func enqueue(_ link: Int32) {
    guard !isQueued[Int(link)] else { return }
    isQueued[Int(link)] = true
    queue.append(link)
  }

  /// Brings levels and rates up to date and puts the flows whose rate changed into `changed`, which
  /// may name one twice.
  mutating func settle(changed: inout [Int32]) {
    touched.removeAll(keepingCapacity: true)
    let workMax = queue.count * Self.roundCountMax
    var next = 0
    while next < queue.count {
      let link = Int(queue[next])
      next += 1
      isQueued[link] = false
      touched.append(Int32(link))
      let (old, new) = (levels[link], level(of: link))
      let isClose = old.isFinite && new.isFinite && abs(new - old) <= tolerance * old
      guard old != new, !isClose, next <= workMax else { continue }
      levels[link] = new
      spread(from: link, old: old, new: new)
    }
    queue.removeAll(keepingCapacity: true)
    for link in touched {
      for flow in members[Int(link)] {
        let known = flows[Int(flow)].rate
        let rate = flows[Int(flow)].weight * ceiling(of: Int(flow), except: -1)
        if rate != known, abs(rate - known) > tolerance / 2 * known {
          flows[Int(flow)].rate = rate
          changed.append(flow)
        }
      }
    }
  }

  /// A level matters elsewhere only when it is, or was, below what holds the flow back there.
  private mutating func spread(from link: Int, old: Double, new: Double) {
    for flow in members[link] {
      let path = flows[Int(flow)].path
      for place in 0..<4 where path[place] >= 0 && path[place] != link {
        let other = path[place]
        let level = levels[Int(other)]
        if min(old, level) != min(new, level), level.isFinite || new > old { enqueue(other) }
      }
    }
  }

  /// The lowest level on the flow's path, one link left out.
  private func ceiling(of flow: Int, except link: Int) -> Double {
    let path = flows[flow].path
    var lowest = Double.infinity
    for place in 0..<4 where path[place] >= 0 && path[place] != link {
      lowest = min(lowest, levels[Int(path[place])])
    }
    return lowest
  }

  /// The level at which the link is full: flows held back elsewhere take what they can, the others
  /// share the rest.
  private mutating func level(of link: Int) -> Double {
    ceilings.removeAll(keepingCapacity: true)
    var (capacity, weight) = (capacities[link], 0.0)
    for flow in members[link] {
      ceilings.append((ceiling(of: Int(flow), except: link), flows[Int(flow)].weight))
      weight += flows[Int(flow)].weight
    }
    while !ceilings.isEmpty {
      let level = capacity / weight
      var keptCount = 0
      (capacity, weight) = (capacity, 0)
      for flow in ceilings {
        if flow.level <= level {
          capacity -= flow.level * flow.weight
        } else {
          ceilings[keptCount] = flow
          keptCount += 1
          weight += flow.weight
        }
      }
      if keptCount == ceilings.count { return max(level, 1) }
      ceilings.removeLast(ceilings.count - keptCount)
    }
    return .infinity
  }

  /// What the link carries, in parts of its capacity.
  func use(of link: Int) -> Double {
    members[link].reduce(0) { $0 + flows[Int($1)].rate } / capacities[link]
  }

  var touchedLinks: [Int32] { touched }
}
