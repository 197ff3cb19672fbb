import Content
import Histogram
import Operations
import Wire

/// What a load test measured.
package struct LoadReport {
  package internal(set) var responseCount = 0
  package internal(set) var bodyByteCount = 0
  package internal(set) var failureCount = 0
  package internal(set) var countByStatusClass: [Int: Int] = [:]
  package internal(set) var duration = Duration.zero
  /// Microseconds from a request's last byte to its response's last byte.
  private var latencies = Histogram<UInt64>(
    highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: .three)

  mutating func add(latency: Duration) {
    _ = latencies.record(UInt64(max(0, latency.nanoseconds / 1_000)))
  }

  package var text: String {
    let seconds = max(duration.seconds, 1e-9)
    var text = "responses   \(responseCount) in \(Quantities.rounded(seconds, places: 2)) s\n"
    text += "requests/s  \(Quantities.rounded(Double(responseCount) / seconds, places: 0))\n"
    text +=
      "bytes/s     \(Quantities.describe(byteCount: Int(Double(bodyByteCount) / seconds)))/s\n"
    for (kind, count) in countByStatusClass.sorted(by: { $0.key < $1.key }) {
      text += "status \(kind)xx  \(count)\n"
    }
    text += "failures    \(failureCount)\n"
    text += "latency     "
    text += Self.percentiles.map { percentile, name in
      "\(name) \(milliseconds(percentile)) ms"
    }.joined(separator: ", ")
    return text + "\n"
  }

  package var json: String {
    var json = JSONWriter()
    json.object { json in
      json.member("responses", responseCount)
      json.member("seconds", duration.seconds)
      json.member("bytes", bodyByteCount)
      json.member("failures", failureCount)
      json.object("status") { json in
        for (kind, count) in countByStatusClass.sorted(by: { $0.key < $1.key }) {
          json.member("\(kind)xx", count)
        }
      }
      json.object("latency_us") { json in
        for (percentile, name) in Self.percentiles {
          json.member(name, Int(latencies.valueAtPercentile(percentile)))
        }
      }
    }
    return json.text + "\n"
  }

  private static let percentiles = [(50.0, "p50"), (90, "p90"), (99, "p99"), (100, "max")]

  private func milliseconds(_ percentile: Double) -> String {
    Quantities.rounded(Double(latencies.valueAtPercentile(percentile)) / 1_000, places: 2)
  }
}
