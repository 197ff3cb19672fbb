import Content
import Digests
import HTTP
import Operations
import Posix
import Reactor
import Storage
import Swarm
import Wire

/// One response with pieces: keeps them from being evicted until they have left, and gives the
/// upload slot back.
final class Upload: ResponseObserver, BodySource {
  private static let pacedByteCount = 16 * 1024

  private let pinned: PinnedSlice
  /// Nil when none was taken.
  private let slot: UploadSlot?
  private unowned let node: Node
  private var timer: Timer?
  private var sentByteCount = 0

  init(_ pinned: PinnedSlice, slot: UploadSlot?, on node: Node) {
    self.pinned = pinned
    self.slot = slot
    self.node = node
  }

  func responseEnded(on connection: ServerConnection, sentByteCount: Int, isComplete: Bool) {
    self.sentByteCount = sentByteCount
    release()
  }

  private func release() {
    node.counters.sentContentBytes.add(sentByteCount)
    slot?.end(sentByteCount: sentByteCount)
  }

  // MARK: At a limited rate

  /// Sends the response bit by bit as the node's upload rate allows.
  func sendPaced(
    _ plan: ContentPlan, _ representation: Representation, on connection: ServerConnection
  ) {
    let layout = plan.layout(of: representation)
    connection.startStreaming(
      layout.status, length: pinned.slice.range.count, source: self
    ) { layout.appendFields(to: &$0) }
    timer = Timer(node.loop) { [weak self, weak connection] in
      if let connection { self?.sendSome(on: connection) }
    }
    sendSome(on: connection)
  }

  private func sendSome(on connection: ServerConnection) {
    let range = pinned.slice.range
    let wanted = min(Self.pacedByteCount, range.count - sentByteCount)
    let delay = node.uploads.delay(byteCount: wanted, now: node.loop.now)
    guard delay == .zero else { return timer?.schedule(after: delay) ?? () }
    guard let part = ByteRange(offset: range.offset + sentByteCount, count: wanted) else { return }
    node.uploads.spend(byteCount: wanted, now: node.loop.now)
    sentByteCount += wanted
    connection.append(FileSlice(file: pinned.slice.file, range: part))
  }

  func bodyDrained(on connection: ServerConnection) {
    if sentByteCount == pinned.slice.range.count {
      connection.endStreaming()
    } else {
      sendSome(on: connection)
    }
  }

  func bodyClosed(on connection: ServerConnection) {
    timer?.cancel()
    release()
  }
}

/// Answers a question for a part of a package's tree from what is stored; may read the disk.
enum TreePart {
  /// - Parameter arriving: the leaves of the piece the slice is in, when it is not stored yet.
  static func read(
    _ slice: TreeSlice, of stored: StoredPackage,
    arriving: (run: PieceRun, leaves: [SHA256Digest])? = nil
  ) -> TreeMessage? {
    if let branch = TreeHash.branch(
      of: slice, pieceLayer: stored.pieceLayer, geometry: stored.geometry)
    {
      return TreeMessage(slice: slice, nodes: branch.nodes, proof: branch.proof)
    }
    if let (run, leaves) = arriving {
      return TreeHash.branch(
        of: slice, leaves: leaves, of: run, pieceLayer: stored.pieceLayer,
        geometry: stored.geometry
      ).map { TreeMessage(slice: slice, nodes: $0.nodes, proof: $0.proof) }
    }
    guard let run = TreeHash.pieces(under: slice, geometry: stored.geometry),
      let pinned = stored.pinnedSlice(stored.geometry.byteRange(of: run)),
      let leaves = leaves(of: pinned.slice),
      let branch = TreeHash.branch(
        of: slice, leaves: leaves, of: run, pieceLayer: stored.pieceLayer,
        geometry: stored.geometry)
    else { return nil }
    return TreeMessage(slice: slice, nodes: branch.nodes, proof: branch.proof)
  }

  private static func leaves(of slice: FileSlice) -> [SHA256Digest]? {
    let window = UnsafeMutableRawBufferPointer.allocate(
      byteCount: 64 * Geometry.blockByteCount, alignment: 64)
    defer { window.deallocate() }
    var leaves: [SHA256Digest] = []
    var offset = slice.range.offset
    while offset < slice.range.end {
      let wanted = min(window.count, slice.range.end - offset)
      let part = UnsafeMutableRawBufferPointer(rebasing: window[..<wanted])
      do throws(SystemError) {
        guard try slice.file.read(into: part, at: offset) == wanted else { return nil }
      } catch {
        return nil
      }
      leaves += TreeHash.leaves(of: UnsafeRawBufferPointer(part))
      offset += wanted
    }
    return leaves
  }
}
