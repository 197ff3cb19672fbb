import Foundation
import Testing

@testable import Operations

@Suite struct MetricsTests {
  @Test func familiesAreWrittenOnce() {
    let registry = MetricRegistry()
    registry.counter("spate_a_total", help: "A.", labels: [("source", "origin")]).add(3)
    let level = registry.gauge("spate_b", help: "B.")
    level.set(10)
    level.add(-12)
    registry.counter("spate_a_total", help: "A.", labels: [("source", "peers")]).add()
    registry.computed("spate_c", help: "C.") { 0.25 }
    registry.computed("spate_d", help: "D.") { 1e16 }
    registry.computed("spate_e", help: "E.") { -7 }
    #expect(
      registry.prometheusText() == """
        # HELP spate_a_total A.
        # TYPE spate_a_total counter
        spate_a_total{source="origin"} 3
        spate_a_total{source="peers"} 1
        # HELP spate_b B.
        # TYPE spate_b gauge
        spate_b -2
        # HELP spate_c C.
        # TYPE spate_c gauge
        spate_c 0.25
        # HELP spate_d D.
        # TYPE spate_d gauge
        spate_d 1e+16
        # HELP spate_e E.
        # TYPE spate_e gauge
        spate_e -7

        """)
  }

  @Test func labelsCannotForgeALine() {
    let registry = MetricRegistry()
    let hostile = "a\\b\"c\nd\r\ne\"} 1\n"
    _ = registry.gauge("g", help: "G.", labels: [("x", hostile), ("y", "")])
    let lines = registry.prometheusText().unicodeScalars.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(
      lines.last.map(String.init) == #"g{x="a\\b\"c\nd\#u{0d}\ne\"} 1\n",y=""} 0"#)
  }

  @Test func numbersThatAreNoneDoNotTrap() {
    let registry = MetricRegistry()
    for (index, value) in [Double.nan, .infinity, -.infinity, 1e300].enumerated() {
      registry.computed("m\(index)", help: "M.") { value }
    }
    let text = registry.prometheusText()
    #expect(text.contains("m0 nan\n") && text.contains("m1 inf\n") && text.contains("m2 -inf\n"))
    #expect(text.contains("m3 1e+300\n"))
  }

  @Test func everyThreadIsCounted() {
    let registry = MetricRegistry()
    let counter = registry.counter("c", help: "C.")
    let gauge = registry.gauge("g", help: "G.")
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<10_000 {
        counter.add()
        gauge.add(2)
        gauge.add(-1)
      }
    }
    #expect(counter.value == 80_000)
    #expect(gauge.value == 80_000)
  }
}
