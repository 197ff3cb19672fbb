/// Takes a chunked body apart as it arrives (RFC 9112 section 7.1). Strict: CRLF only, base-16
/// digits and nothing before them, extensions and trailers checked for their form and dropped.
package struct ChunkedDecoder: Sendable {
  /// Digits of a chunk size; fifteen keep the size far from overflow.
  package static let sizeDigitCountMax = 15
  /// Bytes of all chunk extensions of one body together.
  package static let extensionByteCountMax = 4 * 1024
  package static let trailerByteCountMax = 8 * 1024

  package enum Step: Hashable, Sendable {
    /// Bytes of the body, at this place in what was given.
    case body(Range<Int>)
    /// Everything given was used.
    case needsMore
    /// The body is over; the next message begins at this index of what was given.
    case end(Int)
  }

  private enum State: Sendable {
    case awaitingSize
    case readingSize(digitCount: Int)
    case readingExtension
    case awaitingSizeLineFeed
    case readingBody
    case awaitingBodyReturn
    case awaitingBodyLineFeed
    case awaitingTrailer
    case readingTrailerName
    case readingTrailerValue
    case awaitingTrailerLineFeed
    case awaitingLastLineFeed
    case ended
  }

  private let fault: Status
  private var state = State.awaitingSize
  private var remaining = 0
  private var extensionByteCount = 0
  private var trailerByteCount = 0

  /// `fault` is the status of what is thrown: `badRequest` in a server, `badGateway` in a client.
  package init(fault: Status) { self.fault = fault }

  /// Reads on at `position`, which is moved past what was used. Call again until it needs more or
  /// has ended; the bytes need not be kept.
  package mutating func next(
    _ bytes: Span<UInt8>, at position: inout Int
  ) throws(WireError) -> Step {
    while position < bytes.count {
      if case .readingBody = state {
        let count = min(remaining, bytes.count - position)
        let body = position..<position + count
        position += count
        remaining -= count
        if remaining == 0 { state = .awaitingBodyReturn }
        return .body(body)
      }
      if case .ended = state { return .end(position) }
      try advance(bytes[position])
      position += 1
    }
    if case .ended = state { return .end(position) }
    return .needsMore
  }

  private mutating func advance(_ byte: UInt8) throws(WireError) {
    switch state {
    case .awaitingSize:
      remaining = 0
      try addDigit(byte, count: 1)
    case .readingSize(let digitCount):
      if byte == Grammar.carriageReturn {
        state = .awaitingSizeLineFeed
      } else if byte == UInt8(ascii: ";") {
        state = .readingExtension
      } else {
        try addDigit(byte, count: digitCount + 1)
      }
    case .readingExtension:
      if byte == Grammar.carriageReturn {
        state = .awaitingSizeLineFeed
      } else {
        extensionByteCount += 1
        guard Grammar.isValue(byte), extensionByteCount <= Self.extensionByteCountMax else {
          throw WireError(fault, "a chunk extension is malformed or too long")
        }
      }
    case .awaitingSizeLineFeed:
      try expect(byte, Grammar.lineFeed)
      state = remaining > 0 ? .readingBody : .awaitingTrailer
    case .awaitingBodyReturn:
      try expect(byte, Grammar.carriageReturn)
      state = .awaitingBodyLineFeed
    case .awaitingBodyLineFeed:
      try expect(byte, Grammar.lineFeed)
      state = .awaitingSize
    case .awaitingTrailer, .readingTrailerName, .readingTrailerValue, .awaitingTrailerLineFeed,
      .awaitingLastLineFeed:
      try advanceTrailer(byte)
    case .readingBody, .ended:
      preconditionFailure("body bytes and what follows the end are not read byte by byte")
    }
  }

  private mutating func advanceTrailer(_ byte: UInt8) throws(WireError) {
    trailerByteCount += 1
    guard trailerByteCount <= Self.trailerByteCountMax else {
      throw WireError(fault, "the trailer is too long")
    }
    switch state {
    case .awaitingTrailer:
      if byte == Grammar.carriageReturn {
        state = .awaitingLastLineFeed
      } else {
        guard Grammar.isToken(byte) else { throw WireError(fault, "a trailer is malformed") }
        state = .readingTrailerName
      }
    case .readingTrailerName:
      if byte == UInt8(ascii: ":") {
        state = .readingTrailerValue
      } else {
        guard Grammar.isToken(byte) else { throw WireError(fault, "a trailer is malformed") }
      }
    case .readingTrailerValue:
      if byte == Grammar.carriageReturn {
        state = .awaitingTrailerLineFeed
      } else {
        guard Grammar.isValue(byte) else { throw WireError(fault, "a trailer is malformed") }
      }
    case .awaitingTrailerLineFeed:
      try expect(byte, Grammar.lineFeed)
      state = .awaitingTrailer
    case .awaitingLastLineFeed:
      try expect(byte, Grammar.lineFeed)
      state = .ended
    case .awaitingSize, .readingSize, .readingExtension, .awaitingSizeLineFeed, .readingBody,
      .awaitingBodyReturn, .awaitingBodyLineFeed, .ended:
      preconditionFailure("only called inside the trailer")
    }
  }

  private mutating func addDigit(_ byte: UInt8, count: Int) throws(WireError) {
    guard let digit = Grammar.hexValue(byte), count <= Self.sizeDigitCountMax else {
      throw WireError(fault, "a chunk size is malformed or too large")
    }
    remaining = remaining << 4 | Int(digit)
    state = .readingSize(digitCount: count)
  }

  private func expect(_ byte: UInt8, _ expected: UInt8) throws(WireError) {
    guard byte == expected else { throw WireError(fault, "a chunk does not end with its CRLF") }
  }
}
