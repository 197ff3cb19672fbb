import Swarm
import Testing

@testable import Simulator

/// The incremental sharing comes to the rates of the plain progressive filling.
@Suite struct LinkSharingTests {
  private struct Flow {
    var links: [Int]
    var weight: Double
  }

  /// All rates grow together; what meets a full link stays.
  private static func filled(_ flows: [Int: Flow], capacities: [Double]) -> [Int: Double] {
    var (capacity, open, rates) = (capacities, flows, [Int: Double]())
    while !open.isEmpty {
      var weights = [Double](repeating: 0, count: capacity.count)
      for flow in open.values { for link in flow.links { weights[link] += flow.weight } }
      let levels = capacity.indices.map { link in
        weights[link] > 1e-9 ? capacity[link] / weights[link] : .infinity
      }
      let lowest = levels.min() ?? 0
      for (name, flow) in open
      where flow.links.contains(where: { levels[$0] <= lowest * (1 + 1e-9) }) {
        rates[name] = lowest * flow.weight
        open[name] = nil
        for link in flow.links { capacity[link] -= lowest * flow.weight }
      }
    }
    return rates
  }

  private static func run(seed: UInt64, tolerance: Double, _ check: (Double, Double) -> Void) {
    var rng = SeededGenerator(seed: seed)
    let capacities = (0..<24).map { _ in Double.random(in: 1e5...1e7, using: &rng) }
    var sharing = LinkSharing(capacities: capacities, tolerance: tolerance)
    var flows: [Int: Flow] = [:]
    for _ in 0..<120 {
      if flows.count > 40 || (!flows.isEmpty && Bool.random(using: &rng)) {
        let name = flows.keys.sorted().randomElement(using: &rng)!
        flows[name] = nil
        sharing.remove(name)
      } else {
        var links = [Int.random(in: 0..<10, using: &rng), Int.random(in: 10..<20, using: &rng)]
        if Bool.random(using: &rng) {
          links += [Int.random(in: 20..<22, using: &rng), Int.random(in: 22..<24, using: &rng)]
        }
        var path = LinkSharing.Path(repeating: -1)
        for (place, link) in links.enumerated() { path[place] = Int32(link) }
        let weight = Double.random(in: 1...2, using: &rng)
        flows[sharing.add(path, weight: weight)] = Flow(links: links, weight: weight)
      }
      var changed: [Int32] = []
      sharing.settle(changed: &changed)
      for (name, rate) in filled(flows, capacities: capacities) {
        check(sharing.rate(of: name), rate)
      }
      for link in capacities.indices { #expect(sharing.use(of: link) <= 1 + 3 * tolerance + 1e-6) }
    }
  }

  @Test(arguments: UInt64(1)...10) func ratesAreMaxMinFair(seed: UInt64) {
    Self.run(seed: seed, tolerance: 0) { rate, exact in
      #expect(abs(rate - exact) <= exact * 1e-6)
    }
  }

  @Test(arguments: UInt64(1)...5) func withATolerance(seed: UInt64) {
    Self.run(seed: seed, tolerance: 0.02) { rate, exact in
      #expect(abs(rate - exact) <= exact * 0.2)
    }
  }

  @Test func aLinkThatHoldsNobodyBackIsNotFull() {
    var sharing = LinkSharing(capacities: [100_000, 300_000], tolerance: 0)
    let flow = sharing.add(LinkSharing.Path(0, 1, -1, -1), weight: 1)
    var changed: [Int32] = []
    sharing.settle(changed: &changed)
    #expect(sharing.rate(of: flow) == 100_000)
    #expect(sharing.isFull(0))
    #expect(!sharing.isFull(1))
    sharing.remove(flow)
    sharing.settle(changed: &changed)
    #expect(!sharing.isFull(0))
  }
}
