import ArgumentParser
import Operations

/// `8` or `8:1Gbit`.
struct CountAndRate: ExpressibleByArgument {
  let count: Int
  let byteRate: Int?

  init?(argument: String) {
    guard let (first, second) = halves(argument), let count = Int(first), count > 0 else {
      return nil
    }
    let rate = second.flatMap { RateArgument(argument: $0) }
    guard second == nil || rate != nil else { return nil }
    self.count = count
    byteRate = rate?.byteRate
  }
}

/// `0.2` or `0.2:10Mbit`.
struct ShareAndRate: ExpressibleByArgument {
  let share: Double
  let byteRate: Int?

  init?(argument: String) {
    guard let (first, second) = halves(argument), let share = Double(first),
      (0...1).contains(share)
    else { return nil }
    let rate = second.flatMap { RateArgument(argument: $0) }
    guard second == nil || rate != nil else { return nil }
    self.share = share
    byteRate = rate?.byteRate
  }
}

/// `25Mbit,100Mbit`.
struct RateList: ExpressibleByArgument {
  let byteRates: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let rates = parts.compactMap { RateArgument(argument: String($0))?.byteRate }
    guard rates.count == parts.count else { return nil }
    byteRates = rates
  }
}

/// `2s:5s`: from when, and for how long.
struct SpanArgument: ExpressibleByArgument {
  let start: Duration
  let length: Duration

  init?(argument: String) {
    guard let (first, second) = halves(argument), let start = Quantities.duration(first),
      let length = second.flatMap({ Quantities.duration($0) })
    else { return nil }
    self.start = start
    self.length = length
  }
}

/// What is before and after a colon; nil when there are several.
private func halves(_ text: String) -> (first: String, second: String?)? {
  let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { String($0) }
  guard (1...2).contains(parts.count), !parts[0].isEmpty else { return nil }
  return (parts[0], parts.count == 2 ? parts[1] : nil)
}
