/// Two ways to do the same, measured in turns so that whatever else the machine does hurts both
/// alike.
struct Contest {
  static let roundCount = 15

  /// The bytes that both take, larger than the caches: what a worker gets is fresh.
  let pool: UnsafeRawBufferPointer

  init(byteCount: Int) {
    let pool = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4_096)
    var generator = SystemRandomNumberGenerator()
    for offset in stride(from: 0, to: byteCount, by: 8) {
      pool.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
    }
    self.pool = UnsafeRawBufferPointer(pool)
  }

  /// Calls `body` with each window of the pool. What it returns is mixed into the result, so that
  /// no work is for nothing.
  func overWindows(_ byteCount: Int, _ body: (UnsafeRawBufferPointer) -> Int) -> Int {
    Self.parts(of: pool, byteCount).reduce(0) { $0 ^ body($1) }
  }

  static func parts(
    of bytes: UnsafeRawBufferPointer, _ byteCount: Int
  ) -> [UnsafeRawBufferPointer] {
    stride(from: 0, to: bytes.count, by: byteCount).map { start in
      UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + byteCount, bytes.count)])
    }
  }

  static func printHeading() {
    printLine("medians of \(roundCount) turns, GB/s", "ours", "OpenSSL", "ratio")
  }

  /// Prints the medians and their ratio.
  func compare(_ title: String, ours: () -> Int, openSSL: () -> Int) {
    var (our, their): ([Double], [Double]) = ([], [])
    var evidence = 0
    for _ in 0..<Self.roundCount {
      our.append(seconds { evidence ^= ours() })
      their.append(seconds { evidence ^= openSSL() })
    }
    precondition(evidence != .min, "never true, and the optimizer cannot know")
    let (mine, other) = (rate(our), rate(their))
    Self.printLine(title, decimals(mine), decimals(other), decimals(mine / other) + "x")
  }

  private func seconds(_ work: () -> Void) -> Double {
    let parts = ContinuousClock().measure(work).components
    return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
  }

  private func rate(_ seconds: [Double]) -> Double {
    Double(pool.count) / 1e9 / seconds.sorted()[seconds.count / 2]
  }

  private func decimals(_ value: Double) -> String {
    let hundredths = Int(value * 100 + 0.5)
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
  }

  private static func printLine(_ title: String, _ cells: String...) {
    func blanks(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
    let columns = cells.map { blanks(9 - $0.utf8.count) + $0 }
    print(title + blanks(52 - title.utf8.count) + columns.joined())
  }
}
