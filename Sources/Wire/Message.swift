import Content

/// The four bytes that every binary message begins with: `SP`, what it is, and the version.
enum MessageKind: UInt8 {
  case announce = 1
  case referral = 2
  case tree = 3
  case have = 4

  static let version: UInt8 = 1

  var header: InlineArray<4, UInt8> {
    [UInt8(ascii: "S"), UInt8(ascii: "P"), rawValue, Self.version]
  }

  func writeHeader(to bytes: inout [UInt8]) {
    let header = header
    for index in header.indices { bytes.append(header[index]) }
  }
}

/// Reads a message from its first byte on. It holds a place, not the bytes, which every call is
/// given again: a span cannot be stored.
struct MessageReader {
  private(set) var position = 0
  /// Of what is thrown: `badRequest` in a server, `badGateway` in a client.
  let fault: Status

  init(fault: Status) { self.fault = fault }

  init(_ kind: MessageKind, _ bytes: Span<UInt8>, fault: Status) throws(WireError) {
    self.fault = fault
    let header = kind.header
    for index in header.indices {
      guard try self.byte(bytes) == header[index] else {
        throw refusal("not this kind of message, or another version of it")
      }
    }
  }

  func refusal(_ reason: String) -> WireError { WireError(fault, reason) }

  func remaining(_ bytes: Span<UInt8>) -> Int { bytes.count - position }

  func finish(_ bytes: Span<UInt8>) throws(WireError) {
    guard position == bytes.count else { throw refusal("bytes after the end of the message") }
  }

  mutating func byte(_ bytes: Span<UInt8>) throws(WireError) -> UInt8 {
    guard position < bytes.count else { throw refusal("the message is cut short") }
    position += 1
    return bytes[position - 1]
  }

  /// The place of the next `count` bytes.
  mutating func take(_ count: Int, _ bytes: Span<UInt8>) throws(WireError) -> Range<Int> {
    guard count >= 0, count <= remaining(bytes) else { throw refusal("the message is cut short") }
    position += count
    return position - count..<position
  }

  /// A number of 0 to 2^63 - 1 in groups of seven bits, lowest first, in as few bytes as it needs.
  mutating func number(_ bytes: Span<UInt8>) throws(WireError) -> Int {
    var value = 0
    for shift in stride(from: 0, through: 56, by: 7) {
      let byte = try byte(bytes)
      value |= Int(byte & 0x7f) << shift
      if byte & 0x80 == 0 {
        guard byte != 0 || shift == 0 else { throw refusal("a number is longer than it needs") }
        return value
      }
    }
    throw refusal("a number is too large")
  }

  mutating func number(
    _ bytes: Span<UInt8>, in range: ClosedRange<Int>, _ what: String
  ) throws(WireError) -> Int {
    let value = try number(bytes)
    guard range.contains(value) else { throw refusal("\(what) out of range") }
    return value
  }

  /// A count of elements that take at least `elementByteCountMin` bytes each: checked against what is
  /// left of the message before anything is reserved for them.
  mutating func count(
    _ bytes: Span<UInt8>, max: Int, elementByteCountMin: Int, _ what: String
  ) throws(WireError) -> Int {
    let count = try number(bytes, in: 0...max, what)
    guard count <= remaining(bytes) / elementByteCountMin else {
      throw refusal("the message is cut short")
    }
    return count
  }

  /// Flags: one byte in which only the bits of `known` may be set.
  mutating func flags(_ bytes: Span<UInt8>, known: UInt8) throws(WireError) -> UInt8 {
    let flags = try byte(bytes)
    guard flags & ~known == 0 else { throw refusal("a flag that is not known") }
    return flags
  }

  mutating func port(_ bytes: Span<UInt8>) throws(WireError) -> UInt16 {
    let high = try byte(bytes)
    return UInt16(high) << 8 | UInt16(try byte(bytes))
  }

  /// Eight bytes, highest first.
  mutating func word(_ bytes: Span<UInt8>) throws(WireError) -> UInt64 {
    var word: UInt64 = 0
    for index in try take(8, bytes) { word = word << 8 | UInt64(bytes[index]) }
    return word
  }

  mutating func peer(_ bytes: Span<UInt8>) throws(WireError) -> PeerID {
    let high = try word(bytes)
    return PeerID(high: high, low: try word(bytes))
  }

  mutating func digest(_ bytes: Span<UInt8>) throws(WireError) -> SHA256Digest {
    SHA256Digest(bytes, at: try take(SHA256Digest.byteCount, bytes).lowerBound)
  }

  /// Whole microseconds.
  mutating func duration(_ bytes: Span<UInt8>) throws(WireError) -> Duration {
    .microseconds(try number(bytes, in: 0...MessageWriter.microsecondsMax, "a duration"))
  }

  mutating func pieceCount(_ bytes: Span<UInt8>) throws(WireError) -> Int {
    try number(bytes, in: 0...Geometry.pieceCountMax, "a piece count")
  }

  /// A run inside a package of `pieceCount` pieces.
  mutating func run(_ bytes: Span<UInt8>, pieceCount: Int) throws(WireError) -> PieceRun {
    let first = try number(bytes)
    let count = try number(bytes)
    guard count > 0, first < pieceCount, count <= pieceCount - first else {
      throw refusal("a run outside the package")
    }
    return PieceRun(first: PieceIndex(first), count: count)
  }

  /// Runs in ascending order with gaps between them, so that reading them costs no more than the
  /// package has pieces, whatever the message says.
  mutating func runs(_ bytes: Span<UInt8>, pieceCount: Int) throws(WireError) -> [PieceRun] {
    let runCount = try count(
      bytes, max: (pieceCount + 1) / 2, elementByteCountMin: 2, "a run count")
    var runs: [PieceRun] = []
    runs.reserveCapacity(runCount)
    var end = 0
    for index in 0..<runCount {
      let gap = try number(bytes, in: (index == 0 ? 0 : 1)...Geometry.pieceCountMax, "a gap")
      let count = try number(bytes, in: 1...Geometry.pieceCountMax, "a run")
      guard end + gap + count <= pieceCount else { throw refusal("a run outside the package") }
      runs.append(PieceRun(first: PieceIndex(end + gap), count: count))
      end += gap + count
    }
    return runs
  }
}

/// The other direction. What does not fit its field is cut to the nearest that does: only this
/// program's own numbers are written here.
struct MessageWriter {
  /// A little over a year.
  static let microsecondsMax = 1 << 45

  private(set) var bytes: [UInt8]

  init(_ kind: MessageKind) {
    bytes = []
    kind.writeHeader(to: &bytes)
  }

  /// Takes the room of `buffer`, which is left empty.
  init(_ kind: MessageKind, reusing buffer: inout [UInt8]) {
    bytes = []
    swap(&bytes, &buffer)
    bytes.removeAll(keepingCapacity: true)
    kind.writeHeader(to: &bytes)
  }

  init() { bytes = [] }

  mutating func byte(_ byte: UInt8) { bytes.append(byte) }

  mutating func append(_ more: [UInt8]) { bytes.append(contentsOf: more) }

  mutating func number(_ value: Int) {
    var rest = max(value, 0)
    while rest > 0x7f {
      bytes.append(UInt8(truncatingIfNeeded: rest & 0x7f) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  /// The message; nothing is left of it here.
  mutating func take() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &bytes)
    return taken
  }

  mutating func port(_ port: UInt16) {
    bytes.append(UInt8(port >> 8))
    bytes.append(UInt8(truncatingIfNeeded: port))
  }

  mutating func word(_ word: UInt64) {
    withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
  }

  /// Four bytes, highest first.
  mutating func halfWord(_ word: UInt32) {
    withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func peer(_ peer: PeerID) {
    word(peer.high)
    word(peer.low)
  }

  mutating func digest(_ digest: SHA256Digest) { digest.append(to: &bytes) }

  mutating func duration(_ duration: Duration) {
    number(Int(min(max(duration.nanoseconds / 1_000, 0), Int64(Self.microsecondsMax))))
  }

  mutating func run(_ run: PieceRun) {
    number(run.first.rawValue)
    number(run.count)
  }

  /// Runs in any order, overlapping or not: they are written sorted and merged.
  mutating func runs(_ runs: [PieceRun]) {
    var merged: [Range<Int>] = []
    for run in runs.sorted(by: { $0.first < $1.first }) {
      if let last = merged.last, run.first.rawValue <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, run.end)
      } else {
        merged.append(run.indices)
      }
    }
    number(merged.count)
    var end = 0
    for run in merged {
      number(run.lowerBound - end)
      number(run.count)
      end = run.upperBound
    }
  }
}
