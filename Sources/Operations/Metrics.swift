import Synchronization

/// A number that only grows: bytes sent, requests answered. Any thread.
package final class Counter: Sendable {
  private let count = Atomic<Int>(0)

  package init() {}

  package func add(_ amount: Int = 1) { count.wrappingAdd(amount, ordering: .relaxed) }
  package var value: Int { count.load(ordering: .relaxed) }
}

/// A number that goes up and down: open connections, bytes in a cache. Any thread.
package final class Gauge: Sendable {
  private let level = Atomic<Int>(0)

  package init() {}

  package func add(_ amount: Int) { level.wrappingAdd(amount, ordering: .relaxed) }
  package func set(_ value: Int) { level.store(value, ordering: .relaxed) }
  package var value: Int { level.load(ordering: .relaxed) }
}

/// The numbers of one process by name, and their rendering as Prometheus text (version 0.0.4).
package final class MetricRegistry: Sendable {
  private enum Reading: Sendable {
    case counter(Counter)
    case gauge(Gauge)
    case computed(@Sendable () -> Double)
  }

  private struct Series: Sendable {
    let labels: String
    let reading: Reading
  }

  private struct Family: Sendable {
    let name: String
    let help: String
    let kind: String
    var series: [Series]
  }

  private let families = Mutex<[Family]>([])

  package init() {}

  package func counter(_ name: String, help: String, labels: [(String, String)] = []) -> Counter {
    let counter = Counter()
    add(name, help, "counter", labels, .counter(counter))
    return counter
  }

  package func gauge(_ name: String, help: String, labels: [(String, String)] = []) -> Gauge {
    let gauge = Gauge()
    add(name, help, "gauge", labels, .gauge(gauge))
    return gauge
  }

  /// A gauge, or a counter that is kept elsewhere, read only when somebody looks.
  package func computed(
    _ name: String, help: String, labels: [(String, String)] = [], isCounter: Bool = false,
    _ read: @escaping @Sendable () -> Double
  ) {
    add(name, help, isCounter ? "counter" : "gauge", labels, .computed(read))
  }

  package func prometheusText() -> String {
    var text = ""
    for family in families.withLock({ $0 }) {
      text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind)\n"
      for series in family.series {
        text += "\(family.name)\(series.labels) \(Self.read(series.reading))\n"
      }
    }
    return text
  }

  private func add(
    _ name: String, _ help: String, _ kind: String, _ labels: [(String, String)],
    _ reading: Reading
  ) {
    let inner = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
    let series = Series(labels: inner.isEmpty ? "" : "{\(inner)}", reading: reading)
    families.withLock { families in
      if let index = families.firstIndex(where: { $0.name == name }) {
        families[index].series.append(series)
      } else {
        families.append(Family(name: name, help: help, kind: kind, series: [series]))
      }
    }
  }

  private static func read(_ reading: Reading) -> String {
    switch reading {
    case .counter(let counter): return "\(counter.value)"
    case .gauge(let gauge): return "\(gauge.value)"
    case .computed(let read):
      let value = read()
      return value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    }
  }

  private static func escaped(_ text: String) -> String {
    var escaped = String.UnicodeScalarView()
    // By scalar: a line feed behind a carriage return is no character of its own.
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped.append(contentsOf: "\\\\".unicodeScalars)
      case "\"": escaped.append(contentsOf: "\\\"".unicodeScalars)
      case "\n": escaped.append(contentsOf: "\\n".unicodeScalars)
      default: escaped.append(scalar)
      }
    }
    return String(escaped)
  }
}
