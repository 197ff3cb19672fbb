import Content
import Posix

/// The open files of one loop by the path as requests spell it, so that a file asked for again costs
/// no system call and no allocation. Bounded: the one not used for longest, roughly, makes room
/// (second chance).
struct FileCache {
  private let capacity: Int
  /// A name may mean another file after this long.
  static let trustDuration = Duration.seconds(1)

  private var slots: [CachedFile] = []
  private var indices: [UInt64: Int] = [:]
  private var hand = 0
  /// Bytes of small files that are held with their descriptions.
  private(set) var contentByteCount = 0
  /// Differs in each process, so that nobody can choose names that collide.
  private let seed = UInt64.random(in: .min ... .max)

  /// A file of at most this is held whole: one call with a copy costs less than a call for the head
  /// and `sendfile`.
  static let heldFileByteCountMax = 64 * 1024
  static let contentByteCountMax = 8 << 20

  init(capacity: Int) {
    precondition(capacity > 0, "a cache has room for one")
    self.capacity = capacity
  }

  var count: Int { slots.count }

  func mayHold(_ status: FileStatus) -> Bool {
    status.byteCount <= Self.heldFileByteCountMax
      && contentByteCount + status.byteCount <= Self.contentByteCountMax
  }

  func file(named key: Span<UInt8>) -> CachedFile? {
    guard let index = indices[hash(key)] else { return nil }
    let slot = slots[index]
    guard Self.isEqual(slot.key, key) else { return nil }
    slot.wasUsed = true
    return slot
  }

  mutating func insert(_ file: CachedFile) {
    let hash = self.hash(file.key)
    contentByteCount += file.heldByteCount
    if let index = indices[hash] {
      contentByteCount -= slots[index].heldByteCount
      slots[index] = file
    } else if slots.count < capacity {
      indices[hash] = slots.count
      slots.append(file)
    } else {
      while slots[hand].wasUsed {
        slots[hand].wasUsed = false
        hand = (hand + 1) % slots.count
      }
      contentByteCount -= slots[hand].heldByteCount
      indices[self.hash(slots[hand].key)] = nil
      indices[hash] = hand
      slots[hand] = file
      hand = (hand + 1) % slots.count
    }
  }

  mutating func remove(_ file: CachedFile) {
    let hash = self.hash(file.key)
    guard let index = indices[hash], slots[index] === file else { return }
    contentByteCount -= file.heldByteCount
    indices[hash] = nil
    let last = slots.removeLast()
    if index < slots.count {
      slots[index] = last
      indices[self.hash(last.key)] = index
    }
    hand = slots.isEmpty ? 0 : hand % slots.count
  }

  mutating func removeAll() {
    slots = []
    indices = [:]
    hand = 0
    contentByteCount = 0
  }

  private func hash(_ key: [UInt8]) -> UInt64 {
    let span = key.span
    return hash(span)
  }

  /// FNV-1a over words instead of bytes, with a last mixing so that all bits count.
  private func hash(_ key: Span<UInt8>) -> UInt64 {
    var hash = seed ^ UInt64(truncatingIfNeeded: key.count)
    key.withUnsafeBytes { bytes in
      var index = 0
      while index + 8 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 29
        index += 8
      }
      while index < bytes.count {
        hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3
        index += 1
      }
    }
    return hash ^ hash >> 32
  }

  private static func isEqual(_ key: [UInt8], _ other: Span<UInt8>) -> Bool {
    guard key.count == other.count else { return false }
    let theirs = key.span
    for index in 0..<other.count where theirs[index] != other[index] { return false }
    return true
  }
}
