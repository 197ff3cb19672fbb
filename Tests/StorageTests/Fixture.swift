import Content
import Digests
import Foundation
import Posix
import Synchronization

@testable import Storage

/// A directory of its own for one test, gone with it.
final class Scratch {
  let path: String

  init() throws {
    // In memory where there is such a place: what synchronises must not wait for a busy disk.
    let memory = "/dev/shm/"
    let parent =
      FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
    path = parent + "spate-storage-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { _ = try? FileManager.default.removeItem(atPath: path) }

  func path(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let url = URL(fileURLWithPath: path(name))
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return url.path
  }

  func read(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
  }
}

/// A package with its bytes.
struct Sample {
  let bytes: [UInt8]
  let digests: PackageDigests

  var id: PackageID { digests.id }
  var geometry: Geometry { digests.geometry }

  /// `byteCount` bytes that `seed` decides.
  init(byteCount: Int, seed: UInt64 = 1) throws {
    var state = seed
    bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      // Eight at a time: tests are not optimised.
      for offset in stride(from: 0, to: byteCount, by: 8) {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        withUnsafeBytes(of: state ^ state >> 29) { word in
          UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[offset...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: word.prefix(byteCount - offset)))
        }
      }
      count = byteCount
    }
    var hasher = PackageHasher()
    bytes.withUnsafeBytes { hasher.update($0) }
    guard let digests = hasher.finish() else { throw CancellationError() }
    self.digests = digests
  }

  func open(in store: PieceStore) throws -> StoredPackage {
    try store.open(
      id: id, geometry: geometry, pieceLayer: digests.pieceLayer, metadata: [1, 2, 3])
  }

  func write(_ run: PieceRun, to package: StoredPackage) throws {
    let range = geometry.byteRange(of: run)
    try bytes.withUnsafeBytes {
      try package.write(
        UnsafeRawBufferPointer(rebasing: $0[range.offset..<range.end]), at: range.offset)
    }
  }

  func store(_ run: PieceRun, in package: StoredPackage) throws {
    try write(run, to: package)
    try package.commit(run)
  }

  var whole: PieceRun { PieceRun(first: PieceIndex(0), count: geometry.pieceCount) }
}

func run(_ first: Int, _ count: Int = 1) -> PieceRun {
  PieceRun(first: PieceIndex(first), count: count)
}

func pieces(_ indices: [Int], of count: Int) -> PieceSet {
  var set = PieceSet(pieceCount: count)
  for index in indices { set.insert(PieceIndex(index)) }
  return set
}

func bytes(of slice: FileSlice) throws -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: slice.range.count)
  let count = try bytes.withUnsafeMutableBytes {
    try slice.file.read(into: $0, at: slice.range.offset)
  }
  return Array(bytes[..<count])
}

/// What callbacks on other threads said, and a way to wait for it.
final class Gathered<Element: Sendable>: Sendable {
  private let monitor = Monitor()
  private let elements = Mutex<[Element]>([])

  func add(_ element: Element) {
    elements.withLock { $0.append(element) }
    monitor.withLock { monitor.wakeAll() }
  }

  var all: [Element] { elements.withLock { $0 } }

  /// Returns when `condition` holds; a test whose condition never does is ended by its time limit.
  func wait(until condition: ([Element]) -> Bool) {
    monitor.withLock {
      while !condition(all) { monitor.wait() }
    }
  }
}
