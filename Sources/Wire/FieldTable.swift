/// Where the values of the known fields of one head lie: offsets into the head's bytes, in slots
/// that are part of the value, so that reading a head allocates nothing.
struct FieldTable: Sendable {
  static let slotCount = 32

  private struct Slot {
    var offset: UInt16 = 0
    var count: UInt16 = 0
  }

  /// Of the first byte after the start line.
  private let start: Int
  private var present: UInt64 = 0
  private var repeated: UInt64 = 0
  private var slots = InlineArray<32, Slot>(repeating: Slot())

  private(set) var hasClose = false
  private(set) var hasKeepAlive = false

  /// Reads the field lines from `start` to the empty line, which ends `bytes`. What is wrong is
  /// thrown with the status `fault`.
  init(_ bytes: Span<UInt8>, from start: Int, fault: Status) throws(WireError) {
    self.start = start
    var position = start
    while let line = try FieldLine(bytes, at: position, fault: fault) {
      if let name = line.name { try add(name, line.value, bytes, fault) }
      position = line.end
    }
    guard position + 2 == bytes.count else {
      throw WireError(fault, "bytes after the end of the head")
    }
  }

  private mutating func add(
    _ name: FieldName, _ value: Range<Int>, _ bytes: Span<UInt8>, _ fault: Status
  ) throws(WireError) {
    let bit: UInt64 = 1 << UInt64(name.rawValue)
    if present & bit != 0 {
      guard name.mayRepeat else { throw WireError(fault, "two lines of \(name.text)") }
      repeated |= bit
    } else {
      guard let offset = UInt16(exactly: value.lowerBound), let count = UInt16(exactly: value.count)
      else { throw WireError(fault, "the head is too long") }
      present |= bit
      slots[Int(name.rawValue)] = Slot(offset: offset, count: count)
    }
    if name == .connection { addConnectionOptions(bytes, value) }
  }

  private mutating func addConnectionOptions(_ bytes: Span<UInt8>, _ value: Range<Int>) {
    var hasClose = hasClose
    var hasKeepAlive = hasKeepAlive
    Grammar.forEachElement(of: bytes, value) { option in
      if Grammar.matches(bytes, option, "close") { hasClose = true }
      if Grammar.matches(bytes, option, "keep-alive") { hasKeepAlive = true }
      return true
    }
    self.hasClose = hasClose
    self.hasKeepAlive = hasKeepAlive
  }

  func has(_ name: FieldName) -> Bool { present >> UInt64(name.rawValue) & 1 != 0 }

  func isRepeated(_ name: FieldName) -> Bool { repeated >> UInt64(name.rawValue) & 1 != 0 }

  /// The value on the first line of the field.
  func range(of name: FieldName) -> Range<Int>? {
    guard has(name) else { return nil }
    let slot = slots[Int(name.rawValue)]
    return Int(slot.offset)..<Int(slot.offset) + Int(slot.count)
  }

  /// Calls `body` with the value on each line of the field, until it returns false.
  func forEachValue(
    of name: FieldName, in bytes: Span<UInt8>, _ body: (Range<Int>) -> Bool
  ) {
    guard let first = range(of: name) else { return }
    guard isRepeated(name) else {
      _ = body(first)
      return
    }
    var position = start
    while let line = FieldLine(checked: bytes, at: position) {
      if line.name == name, !body(line.value) { return }
      position = line.end
    }
  }

  /// The values of all lines of the field, joined by commas.
  func value(of name: FieldName, in bytes: Span<UInt8>) -> String? {
    guard let first = range(of: name) else { return nil }
    guard isRepeated(name) else { return Grammar.text(bytes, first) }
    var values: [String] = []
    forEachValue(of: name, in: bytes) { range in
      values.append(Grammar.text(bytes, range))
      return true
    }
    return values.joined(separator: ", ")
  }
}

/// One field line: `name ":" OWS value OWS CRLF` (RFC 9112 section 5), no folding, no space before
/// the colon.
struct FieldLine {
  /// Nil for a field that Spate does not know.
  let name: FieldName?
  let value: Range<Int>
  /// After the CRLF.
  let end: Int

  /// Nil at the empty line.
  init?(_ bytes: Span<UInt8>, at start: Int, fault: Status) throws(WireError) {
    var index = start
    let count = bytes.count
    var packed = PackedName()
    while index < count {
      let byte = bytes[index]
      guard Grammar.isToken(byte) else { break }
      packed.append(byte)
      index += 1
    }
    guard index < count else { throw WireError(fault, "the head has no end") }
    if index == start {
      guard bytes[index] == Grammar.carriageReturn, index + 1 < count,
        bytes[index + 1] == Grammar.lineFeed
      else { throw WireError(fault, "a field line without a name, or folded") }
      return nil
    }
    guard bytes[index] == UInt8(ascii: ":") else {
      throw WireError(fault, "a field name that is not a token")
    }
    let valueStart = index + 1
    index = valueStart
    while index < count, Grammar.isValue(bytes[index]) { index += 1 }
    guard index + 1 < count, bytes[index] == Grammar.carriageReturn,
      bytes[index + 1] == Grammar.lineFeed
    else { throw WireError(fault, "a control character in a field") }
    name = FieldIndex.shared.field(named: packed)
    value = Grammar.trimmed(bytes, valueStart..<index)
    end = index + 2
  }

  /// Reads a line of a head that was checked before; nil at its end.
  init?(checked bytes: Span<UInt8>, at start: Int) {
    do throws(WireError) {
      guard let line = try FieldLine(bytes, at: start, fault: .badRequest) else { return nil }
      self = line
    } catch {
      return nil
    }
  }
}
