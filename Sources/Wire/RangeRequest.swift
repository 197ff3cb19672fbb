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
      return true
    }
    guard isValid, specifierCount > 0 else { return .whole }
    guard byteCount > 0 || list.isEmpty else { return .whole }
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
/// earliest of them. The first needs no array.
private struct MergingList {
  private var first: ByteRange?
  private var others: [ByteRange] = []

  var isEmpty: Bool { first == nil }

  var request: RangeRequest {
    guard let first else { return .unsatisfiable }
    if others.isEmpty { return .one(first) }
    return others.count < RangeRequest.rangeCountMax ? .several([first] + others) : .whole
  }

  mutating func insert(_ range: ByteRange) {
    guard let start = first else {
      first = range
      return
    }
    guard var merged = Self.union(start, range) else {
      insertAmongOthers(range)
      return
    }
    // What grew may now touch others, in any order, so start over until nothing does.
    while let index = others.firstIndex(where: { Self.union(merged, $0) != nil }) {
      merged = Self.union(merged, others.remove(at: index)) ?? merged
    }
    first = merged
  }

  private mutating func insertAmongOthers(_ range: ByteRange) {
    guard let place = others.firstIndex(where: { Self.union($0, range) != nil }) else {
      others.append(range)
      return
    }
    var merged = Self.union(others[place], range) ?? range
    others.remove(at: place)
    var target = place
    while let index = others.firstIndex(where: { Self.union(merged, $0) != nil }) {
      merged = Self.union(merged, others.remove(at: index)) ?? merged
      if index < target { target = index }
    }
    others.insert(merged, at: min(target, others.count))
    if let start = first, let union = Self.union(start, merged) {
      others.remove(at: min(target, others.count - 1))
      first = union
    }
  }

  /// Nil when the two neither overlap nor touch.
  private static func union(_ one: ByteRange, _ other: ByteRange) -> ByteRange? {
    guard one.offset <= other.end, other.offset <= one.end else { return nil }
    let start = min(one.offset, other.offset)
    return ByteRange(offset: start, count: max(one.end, other.end) - start)
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
