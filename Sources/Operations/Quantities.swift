import Content

/// Sizes, rates and durations as people write them on a command line and read them in a summary.
package enum Quantities {
  private static let sizeUnits: [(String, Int)] = [
    ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40),
    ("kb", 1_000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("tb", 1_000_000_000_000),
    ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40), ("b", 1), ("", 1),
  ]

  /// Bytes: `512`, `64k`, `10GiB` (powers of 1024), `10GB` (powers of 1000); nil when malformed.
  package static func byteCount(_ text: String) -> Int? {
    guard let (number, unit) = split(text),
      let scale = sizeUnits.first(where: { $0.0 == unit })?.1
    else { return nil }
    let bytes = number * Double(scale)
    return bytes < Double(1 << 62) ? Int(bytes) : nil
  }

  /// Bytes a second: a size with or without `/s` (`10MB/s`), or bits with `bit` (`100Mbit`).
  package static func byteRate(_ text: String) -> Int? {
    var body = text.lowercased()
    if body.hasSuffix("/s") { body.removeLast(2) }
    guard body.hasSuffix("bit") else { return byteCount(body) }
    body.removeLast(3)
    guard let (number, unit) = split(body),
      let scale = ["": 1.0, "k": 1e3, "m": 1e6, "g": 1e9][unit]
    else { return nil }
    let rate = number * scale / 8
    return rate < Double(1 << 62) ? Int(rate) : nil
  }

  /// `30`, `30s`, `500ms`, `5m`, `2h`, `1d`; a bare number is seconds. Nil when malformed.
  package static func duration(_ text: String) -> Duration? {
    guard let (number, unit) = split(text),
      let seconds = ["": 1.0, "ms": 1e-3, "s": 1, "m": 60, "h": 3_600, "d": 86_400][unit],
      number * seconds < 1e9
    else { return nil }
    return .nanoseconds(Int64(number * seconds * 1e9))
  }

  /// `12.3 MB`, in powers of 1000, as `ls -h` and download tools show it.
  package static func describe(byteCount: Int) -> String {
    var value = Double(byteCount)
    for unit in ["B", "kB", "MB", "GB", "TB"] {
      if value < 999.5 || unit == "TB" {
        return unit == "B" ? "\(byteCount) B" : "\(rounded(value, places: 1)) \(unit)"
      }
      value /= 1_000
    }
    return "\(byteCount) B"
  }

  /// `1:02:03` or `2:03`.
  package static func describe(clock duration: Duration) -> String {
    let total = Int(max(0, duration.seconds).rounded(.up))
    let two = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
    let (hours, minutes, seconds) = (total / 3_600, total / 60 % 60, total % 60)
    return hours > 0
      ? "\(hours):\(two(minutes)):\(two(seconds))" : "\(minutes):\(two(seconds))"
  }

  /// `value` with exactly `places` decimals.
  package static func rounded(_ value: Double, places: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int((abs(value) * Double(scale)).rounded())
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard places > 0 else { return "\(sign)\(scaled)" }
    let fraction = String(scaled % scale)
    let zeros = String(repeating: "0", count: places - fraction.count)
    return "\(sign)\(scaled / scale).\(zeros)\(fraction)"
  }

  private static func split(_ text: String) -> (Double, String)? {
    let lowered = text.lowercased()
    let digits = lowered.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = lowered.dropFirst(digits.count).drop { $0 == " " }
    guard let number = Double(digits), number.isFinite, number >= 0 else { return nil }
    return (number, String(unit))
  }
}
