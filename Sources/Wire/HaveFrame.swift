package import Content

/// One message of the long stream that `GET /-/have/ID` answers with: first everything the sender
/// holds, then what changes. `Docs/PROTOCOL.md` has the layout.
package enum HaveFrame: Hashable, Sendable {
  /// Everything it holds; always the first frame.
  case bitmap(PieceSet)
  /// Verified and served from now on.
  case gained([PieceRun])
  case evicted([PieceRun])
  /// Not there yet, and expected within that time.
  case promised([PieceRun], within: Duration)
  /// Nothing new; the sender is alive.
  case keepAlive

  /// Of one frame's payload: the longest run list of the largest package fits.
  package static let payloadByteCountMax = 16 * 1024

  /// What the stream begins with, before its first frame.
  package static var preamble: [UInt8] { MessageWriter(.have).bytes }

  enum Kind: UInt8 {
    case keepAlive = 0
    case bitmap = 1
    case gained = 2
    case evicted = 3
    case promised = 4
  }

  /// The frame as it follows the preamble or another frame.
  package func encode() -> [UInt8] {
    var payload = MessageWriter()
    let kind: Kind
    switch self {
    case .keepAlive:
      kind = .keepAlive
    case .bitmap(let pieces):
      kind = .bitmap
      payload.append(pieces.bitmap)
    case .gained(let runs):
      kind = .gained
      payload.runs(runs)
    case .evicted(let runs):
      kind = .evicted
      payload.runs(runs)
    case .promised(let runs, let duration):
      kind = .promised
      payload.duration(duration)
      payload.runs(runs)
    }
    var frame = MessageWriter()
    frame.byte(kind.rawValue)
    frame.number(payload.bytes.count)
    frame.append(payload.bytes)
    return frame.bytes
  }

  fileprivate init(
    _ kind: Kind, _ payload: Span<UInt8>, pieceCount: Int
  ) throws(WireError) {
    var reader = MessageReader(fault: .badGateway)
    switch kind {
    case .keepAlive:
      self = .keepAlive
    case .bitmap:
      let range = try reader.take(payload.count, payload)
      guard let pieces = PieceSet(bitmap: payload.extracting(range), pieceCount: pieceCount) else {
        throw reader.refusal("a bitmap that does not fit the package")
      }
      self = .bitmap(pieces)
    case .gained:
      self = .gained(try reader.runs(payload, pieceCount: pieceCount))
    case .evicted:
      self = .evicted(try reader.runs(payload, pieceCount: pieceCount))
    case .promised:
      let duration = try reader.duration(payload)
      self = .promised(try reader.runs(payload, pieceCount: pieceCount), within: duration)
    }
    try reader.finish(payload)
  }
}

/// Takes a have-stream apart as it arrives, in parts of any size.
package struct HaveDecoder: Sendable {
  private let pieceCount: Int
  private var pending: [UInt8] = []
  private var hasPreamble = false
  private var hasBitmap = false

  /// `pieceCount` is that of the package, at most `Geometry.pieceCountMax`.
  package init(pieceCount: Int) {
    precondition((0...Geometry.pieceCountMax).contains(pieceCount), "a package has few pieces")
    self.pieceCount = pieceCount
  }

  /// Adds the frames that `bytes` complete to `frames`. After an error the stream is of no use.
  package mutating func decode(
    _ bytes: Span<UInt8>, into frames: inout [HaveFrame]
  ) throws(WireError) {
    for index in 0..<bytes.count { pending.append(bytes[index]) }
    var start = try preambleEnd()
    if hasPreamble {
      while let (frame, end) = try frame(at: start) {
        frames.append(frame)
        hasBitmap = true
        start = end
      }
    }
    pending.removeFirst(start)
  }

  private mutating func preambleEnd() throws(WireError) -> Int {
    if hasPreamble { return 0 }
    let preamble = HaveFrame.preamble
    for (expected, byte) in zip(preamble, pending) where expected != byte {
      throw WireError(.badGateway, "not a have-stream, or another version of it")
    }
    hasPreamble = pending.count >= preamble.count
    return hasPreamble ? preamble.count : 0
  }

  /// The frame at `start` and where the next one begins, or nil when more bytes are needed.
  private func frame(at start: Int) throws(WireError) -> (HaveFrame, end: Int)? {
    let bytes = pending.span
    guard start < bytes.count else { return nil }
    guard let kind = HaveFrame.Kind(rawValue: bytes[start]), hasBitmap || kind == .bitmap else {
      throw WireError(.badGateway, "an unknown frame, or one before the bitmap")
    }
    guard let (payloadStart, payloadCount) = try length(bytes, at: start + 1),
      payloadCount <= bytes.count - payloadStart
    else { return nil }
    let end = payloadStart + payloadCount
    let payload = bytes.extracting(payloadStart..<end)
    return (try HaveFrame(kind, payload, pieceCount: pieceCount), end)
  }

  /// The length of a payload, read as soon as it is there so that an absurd one is refused at once.
  private func length(
    _ bytes: Span<UInt8>, at start: Int
  ) throws(WireError) -> (payloadStart: Int, count: Int)? {
    var count = 0
    for place in 0..<3 {
      guard start + place < bytes.count else { return nil }
      let byte = bytes[start + place]
      count |= Int(byte & 0x7f) << (7 * place)
      if byte & 0x80 == 0 {
        guard count <= HaveFrame.payloadByteCountMax, byte != 0 || place == 0 else { break }
        return (start + place + 1, count)
      }
    }
    throw WireError(.badGateway, "a frame is too long")
  }
}
