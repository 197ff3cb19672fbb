import Content
import Operations
import Posix

/// One line on a terminal that is drawn over again and again; nothing at all elsewhere.
final class ProgressBar {
  /// The rate is that of the last seconds, not of the whole.
  private static let memory = 5.0
  private static let secondsLeftMax = 359_999.0

  private let stream: StandardStream
  private let isTerminal: Bool
  private var isDrawn = false
  private var last: (byteCount: Int, instant: Instant)?
  private var byteRate = 0.0
  private var lastNote = ""

  init(on stream: StandardStream) {
    self.stream = stream
    isTerminal = stream.isTerminal
  }

  func show(done: Int, total: Int, fromPeers: Int, fromOrigin: Int, now: Instant) {
    measure(done, now)
    guard isTerminal else { return }
    let fraction = total > 0 ? min(1, Double(done) / Double(total)) : 1
    var text =
      " \(Quantities.rounded(fraction * 100, places: 0)) %  "
      + "\(Quantities.describe(byteCount: done)) of \(Quantities.describe(byteCount: total))  "
      + "\(Quantities.describe(byteCount: Int(byteRate)))/s"
    if fromPeers + fromOrigin > 0 {
      let share = Double(fromPeers) / Double(fromPeers + fromOrigin) * 100
      text += "  \(Quantities.rounded(share, places: 0)) % from peers"
    }
    if byteRate > 1, done < total {
      // A download that stalls would have centuries left, more than a duration holds.
      let seconds = min(Double(total - done) / byteRate, Self.secondsLeftMax)
      let left = Duration.nanoseconds(Int64(seconds * 1e9))
      text += "  \(Quantities.describe(clock: left)) left"
    }
    let width = min((stream.columnCount ?? 80) - text.count - 3, 40)
    draw(Self.bar(fraction, width: width) + text)
  }

  /// A state worth a line of its own, said once.
  func note(_ text: String) {
    guard text != lastNote else { return }
    lastNote = text
    clear()
    stream.write("spate: \(text)\n")
  }

  func clear() {
    guard isDrawn else { return }
    isDrawn = false
    stream.write("\r\u{1b}[K")
  }

  private func draw(_ line: String) {
    isDrawn = true
    stream.write("\r\(line)\u{1b}[K")
  }

  private func measure(_ done: Int, _ now: Instant) {
    defer { last = (done, now) }
    guard let last else { return }
    let seconds = (now - last.instant).seconds
    guard seconds > 0 else { return }
    let weight = min(1, seconds / Self.memory * 4)
    let current = Double(max(0, done - last.byteCount)) / seconds
    byteRate = byteRate == 0 ? current : byteRate * (1 - weight) + current * weight
  }

  private static func bar(_ fraction: Double, width: Int) -> String {
    guard width >= 8 else { return "" }
    let filled = Int(fraction * Double(width))
    return "[" + String(repeating: "=", count: filled)
      + String(repeating: " ", count: width - filled) + "]"
  }
}
