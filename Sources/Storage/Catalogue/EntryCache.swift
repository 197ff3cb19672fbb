import Content
import Synchronization

/// Entries of the names asked for lately, found without a look at the disk. Sharded, so that loops
/// seldom meet; a lock is held for a dictionary's look-up and nothing else.
final class EntryCache: Sendable {
  private static let shardCount = 16
  private let shards: [Shard]

  /// - Parameter capacity: entries kept at least; up to twice as many are.
  init(capacity: Int) {
    let each = max(1, capacity / Self.shardCount)
    shards = (0..<Self.shardCount).map { _ in Shard(capacity: each) }
  }

  private final class Shard: Sendable {
    struct Generations {
      /// Used since the last turn, and before it: what is not asked for in between goes.
      var young: [String: CatalogueEntry] = [:]
      var old: [String: CatalogueEntry] = [:]
      var youngPaths: [PackageID: String] = [:]
      var oldPaths: [PackageID: String] = [:]
    }

    let capacity: Int
    let generations = Mutex(Generations())

    init(capacity: Int) { self.capacity = capacity }
  }

  private func shard(of key: some Hashable) -> Shard {
    shards[Int(UInt(bitPattern: key.hashValue) % UInt(Self.shardCount))]
  }

  subscript(path: String) -> CatalogueEntry? {
    let shard = shard(of: path)
    return shard.generations.withLock { generations in
      if let entry = generations.young[path] { return entry }
      guard let entry = generations.old[path] else { return nil }
      Self.insert(entry, at: path, into: &generations, capacity: shard.capacity)
      return entry
    }
  }

  /// A name that had these bytes when last asked.
  func path(of id: PackageID) -> String? {
    shard(of: id).generations.withLock { $0.youngPaths[id] ?? $0.oldPaths[id] }
  }

  func insert(_ entry: CatalogueEntry, at path: String) {
    let shard = shard(of: path)
    shard.generations.withLock {
      Self.insert(entry, at: path, into: &$0, capacity: shard.capacity)
    }
    let idShard = self.shard(of: entry.id)
    idShard.generations.withLock { generations in
      generations.youngPaths[entry.id] = path
      if generations.youngPaths.count > idShard.capacity {
        generations.oldPaths = generations.youngPaths
        generations.youngPaths = [:]
      }
    }
  }

  func remove(_ path: String) {
    shard(of: path).generations.withLock { generations in
      generations.young[path] = nil
      generations.old[path] = nil
    }
  }

  private static func insert(
    _ entry: CatalogueEntry, at path: String, into generations: inout Shard.Generations,
    capacity: Int
  ) {
    generations.young[path] = entry
    if generations.young.count > capacity {
      generations.old = generations.young
      generations.young = [:]
    }
  }
}
