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
  private static let stillCountMax = 2

  private let pinned: PinnedSlice
  /// Who holds the slot (nil inside: a client without a name); nil when none was taken.
  private let slot: PeerID??
  private unowned let node: Node
  private let started: Instant
  /// Until the response has ended. A weak reference would make every retain of it a slow one.
  private var connection: ServerConnection?
  private var timer: Timer?
  private var sentByteCount = 0
  /// What its connection had sent when the node last looked, and how often that was the same.
  private var seenByteCount = 0
  private var stillCount = 0
  private var hasLapsed = false

  init(_ pinned: PinnedSlice, by slot: PeerID??, on node: Node, to connection: ServerConnection) {
    self.pinned = pinned
    self.connection = connection
    self.slot = slot
    self.node = node
    started = node.loop.now
    guard slot != nil else { return }
    node.counters.uploads.add(1)
    node.runningUploads[ObjectIdentifier(self)] = self
  }

  func responseEnded(on connection: ServerConnection, sentByteCount: Int, isComplete: Bool) {
    self.sentByteCount = sentByteCount
    release()
  }

  private func release() {
    node.counters.sentContentBytes.add(sentByteCount)
    node.runningUploads[ObjectIdentifier(self)] = nil
    connection = nil
    if !hasLapsed { giveSlotBack() }
  }

  private func giveSlotBack() {
    guard let slot else { return }
    node.counters.uploads.add(-1)
    node.uploads.release(
      peer: slot, byteCount: sentByteCount, duration: node.loop.now - started, now: node.loop.now)
  }

  /// Looks at each sweep of the node whether the client still takes bytes. One that has frozen or
  /// vanished keeps its response for a minute, but not the slot: a few of them would close a peer.
  /// Once is not enough, since it may be this machine that stood still.
  func lapseIfStill() {
    guard let connection else { return }
    let isStill = connection.isBlocked && connection.sentByteCount == seenByteCount
    seenByteCount = connection.sentByteCount
    stillCount = isStill ? stillCount + 1 : 0
    guard stillCount >= Self.stillCountMax, !hasLapsed else { return }
    hasLapsed = true
    giveSlotBack()
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
    timer = Timer(node.loop) { [unowned self] in
      if let connection = self.connection { self.sendSome(on: connection) }
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
