package import Content

/// What a Range field asks of a representation (RFC 9110 section 14.1.2).
package enum RangeRequest: Hashable, Sendable {
  /// More ranges than this after merging, and the whole file is sent.
  package static let rangeCountMax = 8
  /// More ranges than this on the line, and they are not even merged.
  package static let specifierCountMax = 64

  /// Everything: no range was asked for, or not one that is understood.
  case whole
  case one(ByteRange)
  /// Two or more that neither overlap nor touch, in the order they were asked for.
  case several([ByteRange])
  /// Every range begins after the end: 416.
  case unsatisfiable

  package static func parse(_ value: String, byteCount: Int) -> RangeRequest {
    let bytes = Array(value.utf8)
    return parse(bytes.span, 0..<bytes.count, byteCount: byteCount)
  }

  /// Reads the value in `range` of `bytes` for a representation of `byteCount` bytes.
  package static func parse(
    _ bytes: Span<UInt8>, _ range: Range<Int>, byteCount: Int
  ) -> RangeRequest {
    let unit = "bytes="
    guard range.count > unit.utf8.count,
      Grammar.matches(bytes, range.lowerBound..<range.lowerBound + unit.utf8.count, unit)
    else { return .whole }
    var list = MergingList()
    var specifierCount = 0
    var isValid = true
    var hasEmptySuffix = false
    let specifiers = range.lowerBound + unit.utf8.count..<range.upperBound
    Grammar.forEachElement(of: bytes, specifiers) { element in
      specifierCount += 1
      guard specifierCount <= specifierCountMax,
        let specifier = RangeSpecifier(bytes, element)
      else {
        isValid = false
        return false
      }
      if let selected = specifier.selection(of: byteCount) { list.insert(selected) }
      if byteCount == 0, case .suffix(1...) = specifier { hasEmptySuffix = true }
      return true
    }
    guard isValid, specifierCount > 0 else { return .whole }
    // The last bytes of an empty file are satisfiable, and no Content-Range can say so.
    if hasEmptySuffix { return .whole }
    return list.request
  }
}

/// One element of a Range list.
private enum RangeSpecifier {
  case from(Int, through: Int)
  case suffix(Int)

  /// Numbers too large to hold are as good as the largest: both lie behind every file.
  init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    guard let dash = Grammar.firstIndex(of: UInt8(ascii: "-"), in: bytes, range) else { return nil }
    let first = range.lowerBound..<dash
    let last = dash + 1..<range.upperBound
    if first.isEmpty {
      guard let count = Grammar.saturatingDecimal(bytes, last) else { return nil }
      self = .suffix(count)
    } else {
      guard let start = Grammar.saturatingDecimal(bytes, first) else { return nil }
      if last.isEmpty {
        self = .from(start, through: .max)
      } else {
        guard let end = Grammar.saturatingDecimal(bytes, last), start <= end else { return nil }
        self = .from(start, through: end)
      }
    }
  }

  /// Nil when it selects nothing of `byteCount` bytes.
  func selection(of byteCount: Int) -> ByteRange? {
    switch self {
    case .from(let start, let end):
      guard start < byteCount else { return nil }
      return ByteRange(offset: start, count: min(end, byteCount - 1) - start + 1)
    case .suffix(let count):
      let selected = min(count, byteCount)
      return ByteRange(offset: byteCount - selected, count: selected)
    }
  }
}

/// Ranges in the order of their arrival; one that overlaps or touches others is merged into the
/// earliest of them. A single range needs no array.
private struct MergingList {
  private var only: ByteRange?
  private var ranges: [ByteRange] = []

  var isEmpty: Bool { only == nil && ranges.isEmpty }

  var request: RangeRequest {
    if let only { return .one(only) }
    if ranges.count == 1 { return .one(ranges[0]) }
    if ranges.isEmpty { return .unsatisfiable }
    return ranges.count <= RangeRequest.rangeCountMax ? .several(ranges) : .whole
  }

  mutating func insert(_ range: ByteRange) {
    if isEmpty {
      only = range
      return
    }
    if let first = only {
      ranges.append(first)
      only = nil
    }
    var merged = range
    var place = ranges.count
    // What grew may touch others that it did not touch before.
    while let (index, union) = firstUnion(with: merged) {
      merged = union
      ranges.remove(at: index)
      place = min(place, index)
    }
    ranges.insert(merged, at: place)
  }

  private func firstUnion(with range: ByteRange) -> (Int, ByteRange)? {
    for (index, other) in ranges.enumerated()
    where range.offset <= other.end && other.offset <= range.end {
      let start = min(range.offset, other.offset)
      let count = max(range.end, other.end) - start
      if let union = ByteRange(offset: start, count: count) { return (index, union) }
    }
    return nil
  }
}

/// The Content-Range of a response (RFC 9110 section 14.4), bytes only.
package struct ContentRange: Hashable, Sendable {
  /// Nil when the request could not be satisfied.
  package let range: ByteRange?
  /// Of the whole representation; nil when the server does not say.
  package let byteCount: Int?

  /// Nil for anything but `bytes FIRST-LAST/COUNT`, `bytes FIRST-LAST/*` and `bytes */COUNT` that
  /// agree with themselves.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    let span = bytes.span
    guard bytes.count > 6, Grammar.matches(span, 0..<6, "bytes "),
      let slash = Grammar.firstIndex(of: UInt8(ascii: "/"), in: span, 6..<bytes.count)
    else { return nil }
    let total = slash + 1..<bytes.count
    if total.count == 1, bytes[total.lowerBound] == UInt8(ascii: "*") {
      byteCount = nil
    } else {
      guard let count = Grammar.decimal(span, total) else { return nil }
      byteCount = count
    }
    if slash == 7, bytes[6] == UInt8(ascii: "*") {
      guard byteCount != nil else { return nil }
      range = nil
      return
    }
    guard let dash = Grammar.firstIndex(of: UInt8(ascii: "-"), in: span, 6..<slash),
      let first = Grammar.decimal(span, 6..<dash),
      let last = Grammar.decimal(span, dash + 1..<slash), first <= last, last < .max,
      let range = ByteRange(offset: first, count: last - first + 1),
      byteCount.map({ range.end <= $0 }) ?? true
    else { return nil }
    self.range = range
  }
}
