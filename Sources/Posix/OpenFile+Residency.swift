import CLinux
package import Content
import Synchronization

/// Which bytes of a file memory has: asked without waiting for a disk, so that a loop can leave the
/// waiting to a worker.
extension OpenFile {
  /// Files are looked at, and brought in, by stretches of this many bytes.
  package static let stretchByteCount = ResidencyMemo.stretchByteCount

  /// Where no count of pages is to be had, a byte in each of this many is asked for.
  private static let sampleDistance = 128 * 1024
  /// Of a file that a disk was waited for so long, nothing is believed for a while: what the
  /// kernel reads may be there in parts that can be read and not yet be sent.
  private static let waitDurationMin = Duration.milliseconds(1)
  private static let doubtDuration = Duration.seconds(4)
  private static let scratchByteCount = 64 * 1024

  /// The stretch that begins at `offset`, which ends at a multiple of `stretchByteCount` or before.
  package static func stretch(at offset: Int, below end: Int) -> ByteRange? {
    let next = (offset / stretchByteCount + 1) * stretchByteCount
    return ByteRange(offset: offset, count: min(next, end) - offset)
  }

  /// Whether sending `range`, a stretch or a part of one, will find its bytes in memory. What was
  /// found to be there is believed for a moment, so that a file that is asked for often is not
  /// looked at each time: a probe, not a promise. Bytes that a file system knows nothing about are
  /// said to be absent.
  package func isResident(_ range: ByteRange, now: Instant) -> Bool {
    let memo = residency.load(ordering: .relaxed)
    if memo.covers(range, now: now) { return true }
    if memo == .nothingKnown {
      // The first look at this file. One that lies in memory needs no other.
      let inMemory = systemCall("fstatfs") { spate_lies_in_memory(rawDescriptor) }
      if inMemory == 1 {
        residency.store(.always, ordering: .relaxed)
        return true
      }
    }
    guard now.nanoseconds >= doubtfulUntil.load(ordering: .relaxed), looksResident(range) else {
      return false
    }
    residency.store(ResidencyMemo(range, now: now), ordering: .relaxed)
    return true
  }

  private func looksResident(_ range: ByteRange) -> Bool {
    // Counts pages without starting a read, those that are still being read among them. Of the
    // pages that a disk is asked for together, the last comes last.
    let cached = systemCall("cachestat") {
      spate_cached_page_count(rawDescriptor, off_t(range.offset), off_t(range.count))
    }
    if cached >= 0 {
      let page = Machine.pageByteCount
      guard cached > range.last / page - range.offset / page else { return false }
      return hasByte(at: range.last) ?? true
    }
    return stride(from: range.offset, to: range.last, by: Self.sampleDistance)
      .allSatisfy { hasByte(at: $0) ?? false } && hasByte(at: range.last) ?? false
  }

  /// Nil when the file system cannot tell.
  private func hasByte(at offset: Int) -> Bool? {
    withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { byte in
      let count = systemCall("preadv2") {
        spate_pread_nowait(rawDescriptor, byte.baseAddress, 1, off_t(offset))
      }
      switch Int32(-count) {
      case EAGAIN: return false
      case EOPNOTSUPP, ENOSYS: return nil
      // The end of the file, or an error: the one who sends it will meet that too, and at once.
      default: return true
      }
    }
  }

  /// Reads the range so that memory has it, and waits for that: for a worker, not for a loop.
  /// Bytes behind the file's end are nobody's loss.
  /// - Parameter next: what the disk may go on with meanwhile; it is not waited for.
  package func bringIn(_ range: ByteRange, next: ByteRange?) throws(SystemError) {
    let start = Clock.now()
    // Nothing but what is asked for here: what the kernel would read ahead by itself may be so much
    // that a slow disk has no time for others.
    advise(ByteRange(offset: 0, count: .max), POSIX_FADV_RANDOM)
    advise(range, POSIX_FADV_WILLNEED)
    if let next { advise(next, POSIX_FADV_WILLNEED) }
    try passOver(range)
    let now = Clock.now()
    if now - start >= Self.waitDurationMin {
      doubtfulUntil.store((now + Self.doubtDuration).nanoseconds, ordering: .relaxed)
    }
  }

  private func advise(_ range: ByteRange?, _ advice: Int32) {
    guard let range else { return }
    _ = posix_fadvise(rawDescriptor, off_t(range.offset), off_t(range.count), advice)
  }

  /// Where bytes are sent that only have to be in memory.
  private static let sink: OpenFile? = {
    do throws(SystemError) {
      return try OpenFile(path: "/dev/null", .readWrite)
    } catch {
      return nil
    }
  }()

  /// Waits for all of the range as a sender waits for it; a plain read is content with less.
  private func passOver(_ range: ByteRange) throws(SystemError) {
    var position = off_t(range.offset)
    while let sink = Self.sink, position < range.end {
      let count = systemCall("sendfile", limit: range.end - Int(position)) { limit in
        sendfile(sink.rawDescriptor, rawDescriptor, &position, limit)
      }
      if count == 0 { return }
      if count == -Int(EINVAL) { break }
      guard count > 0 else { throw SystemError(code: Int32(-count), call: "sendfile") }
    }
    try readThrough(position: Int(position), end: range.end)
  }

  private func readThrough(position: Int, end: Int) throws(SystemError) {
    guard position < end else { return }
    let scratch = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Self.scratchByteCount, alignment: 64)
    defer { scratch.deallocate() }
    var offset = position
    while offset < end {
      let part = UnsafeMutableRawBufferPointer(rebasing: scratch.prefix(end - offset))
      let count = try read(into: part, at: offset)
      if count == 0 { return }
      offset += count
    }
  }
}

/// A stretch of a file, or a part of it, that was in memory at a time; in one word, so that threads
/// share it without a lock.
struct ResidencyMemo: AtomicRepresentable, Hashable, Sendable {
  static let stretchByteCount = 512 * 1024
  /// A part is remembered by the units it covers.
  private static let unitByteCount = 4 * 1024
  /// How long a look is believed, in the memo's ticks of 2^20 ns, and the bits of such a time.
  private static let trustTickCount: UInt64 = 250
  private static let tickBits: UInt64 = 24
  private static let unitBits: UInt64 = 7
  private static let stretchBits: UInt64 = 24

  static let nothingKnown = ResidencyMemo(bits: 0)
  /// The file lies in memory.
  static let always = ResidencyMemo(bits: .max)

  // From the lowest bit: first unit, last unit, stretch, time; the highest bit is 0 and the next 1.
  private let bits: UInt64

  private init(bits: UInt64) { self.bits = bits }

  /// - Parameter range: in one stretch.
  init(_ range: ByteRange, now: Instant) {
    let first = UInt64(range.offset % Self.stretchByteCount / Self.unitByteCount)
    let last = UInt64(range.last % Self.stretchByteCount / Self.unitByteCount)
    let stretch = UInt64(range.offset / Self.stretchByteCount) & Self.mask(Self.stretchBits)
    var bits = first | last << Self.unitBits | stretch << (2 * Self.unitBits)
    bits |= Self.ticks(now) << (2 * Self.unitBits + Self.stretchBits)
    self.bits = bits | 1 << 62
  }

  /// Whether the look that this remembers was at all of `range`, and not long ago.
  func covers(_ range: ByteRange, now: Instant) -> Bool {
    if self == .always { return true }
    if self == .nothingKnown { return false }
    let asked = ResidencyMemo(range, now: now)
    let age = (asked.ticks &- ticks) & Self.mask(Self.tickBits)
    return asked.stretch == stretch && first <= asked.first && asked.last <= last
      && age < Self.trustTickCount
  }

  private static func mask(_ bitCount: UInt64) -> UInt64 { 1 << bitCount - 1 }

  private static func ticks(_ time: Instant) -> UInt64 {
    UInt64(bitPattern: time.nanoseconds) >> 20 & mask(tickBits)
  }

  private var first: UInt64 { bits & Self.mask(Self.unitBits) }
  private var last: UInt64 { bits >> Self.unitBits & Self.mask(Self.unitBits) }
  private var stretch: UInt64 { bits >> (2 * Self.unitBits) & Self.mask(Self.stretchBits) }
  private var ticks: UInt64 {
    bits >> (2 * Self.unitBits + Self.stretchBits) & Self.mask(Self.tickBits)
  }

  // MARK: AtomicRepresentable

  typealias AtomicRepresentation = UInt64.AtomicRepresentation

  static func encodeAtomicRepresentation(_ value: consuming Self) -> AtomicRepresentation {
    UInt64.encodeAtomicRepresentation(value.bits)
  }

  static func decodeAtomicRepresentation(_ storage: consuming AtomicRepresentation) -> Self {
    ResidencyMemo(bits: UInt64.decodeAtomicRepresentation(storage))
  }
}
