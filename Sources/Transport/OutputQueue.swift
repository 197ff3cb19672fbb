import Content
import DequeModule
import Posix
import Reactor

/// What a stream has yet to send, in order: bytes and slices of files. Small appends share a buffer
/// borrowed from the loop's pool, so that a head and a short body leave in one segment.
struct OutputQueue {
  /// An array at least this long is kept as it is instead of being copied.
  private static let keptArrayByteCountMin = 4 * 1024
  /// A slice at most this long is copied beside the bytes before it, if memory has it: one call
  /// instead of two, and cheaper than handing over pages.
  private static let copiedSliceByteCountMax = 8 * 1024

  enum Segment {
    /// A pool's buffer and what of it is unsent.
    case buffer(UnsafeMutableRawBufferPointer, unsent: Range<Int>)
    case array([UInt8], unsent: Range<Int>)
    case file(OpenFile, unsent: Range<Int>)

    fileprivate var unsentByteCount: Int {
      switch self {
      case .buffer(_, let unsent), .array(_, let unsent), .file(_, let unsent): unsent.count
      }
    }
  }

  /// Most queues never hold more than one segment: that one needs no storage of its own.
  private(set) var first: Segment?
  /// Those after the first; without storage when there are none.
  private var rest = Deque<Segment>()
  private(set) var byteCount = 0
  /// Where in its file the bytes end that memory has of the first segment's slice, as far as was
  /// looked.
  private var residentEnd = 0

  var isEmpty: Bool { first == nil }
  var hasMoreThanOneSegment: Bool { !rest.isEmpty }
  /// The bytes behind the first segment, if they are an array's.
  var second: (array: [UInt8], unsent: Range<Int>, isLast: Bool)? {
    guard case .array(let array, let unsent)? = rest.first else { return nil }
    return (array, unsent, rest.count == 1)
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer, from pool: BufferPool) {
    var rest = bytes
    byteCount += bytes.count
    while !rest.isEmpty {
      let (buffer, end) = roomAtEnd(from: pool)
      let count = min(rest.count, buffer.count - end)
      UnsafeMutableRawBufferPointer(rebasing: buffer[end..<end + count]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      extendLastBuffer(by: count)
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  mutating func append(_ bytes: [UInt8], from pool: BufferPool) {
    guard bytes.count >= Self.keptArrayByteCountMin else {
      return bytes.withUnsafeBytes { append($0, from: pool) }
    }
    append(.array(bytes, unsent: bytes.indices))
    byteCount += bytes.count
  }

  /// - Parameter fillsLastBuffer: copies the slice's beginning behind the bytes before it, so that
  ///   a record of TLS, which a buffer is as long as, leaves full.
  mutating func append(_ slice: FileSlice, from pool: BufferPool, fillsLastBuffer: Bool) {
    if slice.range.count <= Self.copiedSliceByteCountMax, copy(slice, from: pool) { return }
    let offset = slice.range.offset + (fillsLastBuffer ? fillLastBuffer(from: slice) : 0)
    guard offset < slice.range.end else { return }
    append(.file(slice.file, unsent: offset..<slice.range.end))
    byteCount += slice.range.end - offset
  }

  /// Counts the next bytes as sent, of however many segments they are.
  mutating func remove(_ count: Int, to pool: BufferPool) {
    var left = count
    while left > 0, let segment = first {
      let part = min(left, segment.unsentByteCount)
      removeFirst(part, to: pool)
      left -= part
    }
  }

  /// Counts bytes of the first segment as sent.
  private mutating func removeFirst(_ count: Int, to pool: BufferPool) {
    byteCount -= count
    switch first {
    case .buffer(let buffer, let unsent)?:
      let left = unsent.dropFirst(count)
      if left.isEmpty {
        pool.giveBack(buffer)
        advance()
      } else {
        first = .buffer(buffer, unsent: left)
      }
    case .array(let bytes, let unsent)?:
      let left = unsent.dropFirst(count)
      if left.isEmpty { advance() } else { first = .array(bytes, unsent: left) }
    case .file(let file, let unsent)?:
      let left = unsent.dropFirst(count)
      if left.isEmpty { advance() } else { first = .file(file, unsent: left) }
    case nil: preconditionFailure("bytes of no segment were sent")
    }
  }

  /// Drops everything; borrowed buffers go back.
  mutating func removeAll(to pool: BufferPool) {
    while let segment = first {
      if case .buffer(let buffer, _) = segment { pool.giveBack(buffer) }
      advance()
    }
    byteCount = 0
  }

  // MARK: What memory has

  /// How many bytes of the first segment, a slice, can be sent without waiting for a disk, looking no
  /// farther than `byteCountMax`; nil when not even those that leave together.
  mutating func sendableByteCount(_ byteCountMax: Int, now: Instant) -> Int? {
    guard case .file(let file, let unsent)? = first else {
      preconditionFailure("bytes are always in memory")
    }
    let wanted = min(unsent.count, byteCountMax)
    while residentEnd < unsent.lowerBound + wanted {
      guard let next = nextStretch, file.isResident(next.range, now: now) else { break }
      residentEnd = next.range.end
    }
    let count = residentEnd - unsent.lowerBound
    return count >= min(unsent.count, TLSSession.recordByteCountMax) ? min(count, wanted) : nil
  }

  /// The part of the first segment's slice that was not looked for yet.
  var nextStretch: FileSlice? {
    guard case .file(let file, let unsent)? = first else { return nil }
    let start = max(residentEnd, unsent.lowerBound)
    return OpenFile.stretch(at: start, below: unsent.upperBound).map {
      FileSlice(file: file, range: $0)
    }
  }

  /// The one that will be `nextStretch` when that is in memory.
  var stretchAfterNext: ByteRange? {
    guard case .file(_, let unsent)? = first, let next = nextStretch else { return nil }
    return OpenFile.stretch(at: next.range.end, below: unsent.upperBound)
  }

  /// Bytes of the first segment's slice that were found, or brought, in memory.
  var residentByteCount: Int {
    guard case .file(_, let unsent)? = first else { return 0 }
    return max(0, residentEnd - unsent.lowerBound)
  }

  /// `nextStretch` is in memory now, or is to be sent as if it were.
  mutating func noteResident() { residentEnd = nextStretch?.range.end ?? residentEnd }

  private mutating func advance() {
    residentEnd = 0
    first = rest.popFirst()
    if rest.isEmpty { rest = Deque() }
  }

  private var last: Segment? { rest.last ?? first }

  private mutating func replaceLast(with segment: Segment) {
    if rest.isEmpty { first = segment } else { rest[rest.count - 1] = segment }
  }

  private mutating func append(_ segment: Segment) {
    if first == nil { first = segment } else { rest.append(segment) }
  }

  private mutating func copy(_ slice: FileSlice, from pool: BufferPool) -> Bool {
    let (buffer, end) = roomAtEnd(from: pool, atLeast: slice.range.count)
    let target = UnsafeMutableRawBufferPointer(rebasing: buffer[end..<end + slice.range.count])
    guard slice.file.readResident(into: target, at: slice.range.offset) == slice.range.count else {
      dropLastBufferIfEmpty(to: pool)
      return false
    }
    byteCount += slice.range.count
    extendLastBuffer(by: slice.range.count)
    return true
  }

  /// - Returns: the bytes copied, 0 when there is no room or memory does not have them.
  private mutating func fillLastBuffer(from slice: FileSlice) -> Int {
    guard case .buffer(let buffer, let unsent)? = last else { return 0 }
    let room = UnsafeMutableRawBufferPointer(
      rebasing: buffer[unsent.upperBound...].prefix(slice.range.count))
    guard !room.isEmpty,
      let count = slice.file.readResident(into: room, at: slice.range.offset)
    else { return 0 }
    byteCount += count
    extendLastBuffer(by: count)
    return count
  }

  /// The last buffer and where its free room begins; a new one when there is too little.
  private mutating func roomAtEnd(
    from pool: BufferPool, atLeast byteCount: Int = 1
  ) -> (buffer: UnsafeMutableRawBufferPointer, end: Int) {
    if case .buffer(let buffer, let unsent)? = last,
      buffer.count - unsent.upperBound >= byteCount
    {
      return (buffer, unsent.upperBound)
    }
    let buffer = pool.take()
    append(.buffer(buffer, unsent: 0..<0))
    return (buffer, 0)
  }

  private mutating func extendLastBuffer(by count: Int) {
    guard case .buffer(let buffer, let unsent)? = last else {
      preconditionFailure("the last segment is no buffer")
    }
    replaceLast(with: .buffer(buffer, unsent: unsent.lowerBound..<unsent.upperBound + count))
  }

  private mutating func dropLastBufferIfEmpty(to pool: BufferPool) {
    guard case .buffer(let buffer, let unsent)? = last, unsent.isEmpty else { return }
    pool.giveBack(buffer)
    if rest.popLast() == nil { first = nil }
    if rest.isEmpty { rest = Deque() }
  }
}

extension Range<Int> {
  fileprivate func dropFirst(_ count: Int) -> Range<Int> {
    precondition(count <= self.count)
    return lowerBound + count..<upperBound
  }
}
