import Foundation
import Testing

extension EndToEnd {
  @Suite struct SimulateTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    private static let mixed = [
      "simulate", "--peers", "8", "--size", "1MiB", "--piece", "32KiB", "--churn", "0.2",
      "--frozen", "0.1", "--leave", "0.3", "--slow", "0.2:20Mbit", "--sites", "2:50Mbit",
      "--liars", "1", "--arrivals", "50", "--tracker-down", "60ms:500ms", "--json",
    ]

    private func line(_ name: String, of output: String) -> Substring? {
      guard let start = output.range(of: "\"\(name)\":") else { return nil }
      return output[start.upperBound...].prefix { $0 != "," && $0 != "}" }
    }

    /// Every process hashes with another seed unless it is told not to.
    @Test func processesThatHashDifferentlyComeToTheSame() throws {
      let drawn = try Spate.run(Self.mixed, in: folder)
      #expect(drawn.exit == .code(0), "\(drawn.output)\(drawn.errorOutput)")
      let again = try Spate.run(Self.mixed, in: folder)
      let fixed = try run(
        "env", ["SWIFT_DETERMINISTIC_HASHING=1", Spate.path] + Self.mixed, in: folder)
      let trace = line("trace", of: drawn.output)
      #expect(trace != nil)
      #expect(line("trace", of: again.output) == trace)
      #expect(line("trace", of: fixed.output) == trace)
      let other = try Spate.run(Self.mixed + ["--seed", "2"], in: folder)
      #expect(line("trace", of: other.output) != trace)
    }

    @Test func aBrokenRuleIsNamedWithSeedAndStep() throws {
      let result = try Spate.run(
        [
          "simulate", "--peers", "4", "--size", "1MiB", "--liars", "3", "--copies-max", "1",
          "--seed", "5",
        ], in: folder)
      #expect(result.exit == .code(1))
      #expect(result.output.contains("VIOLATED    seed 5, step "), "\(result.output)")
    }

    @Test(arguments: [
      ["--peers", "0"], ["--piece", "48KiB"], ["--piece", "8KiB"], ["--sites", "30"],
      ["--sites", "2:fast"], ["--slow", "1.5"], ["--churn", "0.7", "--leave", "0.7"],
      ["--churn", "-0.1"], ["--liars", "20"], ["--tracker-down", "1s"], ["--arrivals", "0"],
      ["--copies-max", "0.5"], ["--origin-copies", "0.5"], ["--churn", "1"],
      ["--peers", "2", "--liars", "1", "--frozen", "1"],
    ])
    func wrongUsageIsRefused(arguments: [String]) throws {
      let result = try Spate.run(["simulate"] + arguments, in: folder)
      #expect(result.exit == .code(2), "\(arguments): \(result.output)")
    }
  }
}
