import Content
import HTTP
import Operations
import Reactor
import Storage
import Swarm

/// One response with bytes of a piece that this node is still receiving. They leave as their blocks
/// are verified; each is read back and hashed once more, where it then lies until it has left.
///
/// When the receipt breaks off, or turns out wrong, the connection is closed in the middle.
final class ArrivingUpload: BodySource {
  /// Read, hashed and queued at a time.
  private static let windowByteCount = 256 * 1024
  /// Without anything new to send for this long, the response is broken off.
  static let waitMax = Duration.seconds(3)

  private let range: ByteRange
  private let piece: PieceIndex
  private let transfer: Transfer
  private let node: Node
  private let slot: UploadSlot
  private weak var connection: ServerConnection?
  private var hashes: [SHA256Digest] = []
  /// Of the package: where the next byte comes from, and where those end that are verified.
  private var position: Int
  private var readyEnd: Int
  private var isReading = false
  private var isOver = false
  private var timer: Timer?

  init(_ range: ByteRange, of piece: PieceIndex, slot: UploadSlot, _ transfer: Transfer) {
    self.range = range
    self.piece = piece
    self.slot = slot
    self.transfer = transfer
    node = transfer.node
    (position, readyEnd) = (range.offset, range.offset)
    timer = Timer(node.loop) { [weak self] in self?.timePassed() }
  }

  func start(
    _ plan: ContentPlan, _ representation: Representation, on connection: ServerConnection
  ) {
    self.connection = connection
    let layout = plan.layout(of: representation)
    timer?.schedule(after: Self.waitMax)
    connection.startStreaming(layout.status, length: range.count, source: self) {
      layout.appendFields(to: &$0)
    }
    if !isOver { transfer.arrivals.add(self, of: piece) }
  }

  // MARK: What the receipt says

  /// The leaves of the piece.
  func know(_ hashes: [SHA256Digest]) { self.hashes = hashes }

  /// Blocks up to this byte of the package are verified.
  func mayGo(to end: Int) {
    let end = min(end, range.end)
    guard end > readyEnd else { return }
    readyEnd = end
    sendMore()
  }

  func breakOff() { connection?.close() }

  // MARK: Sending

  private func timePassed() {
    if position < readyEnd { sendMore() } else { breakOff() }
  }

  private func sendMore() {
    guard let connection, !isReading, !isOver, connection.queuedByteCount == 0,
      position < readyEnd, let part = nextPart()
    else { return }
    let delay = node.uploads.delay(byteCount: part.count, now: node.loop.now)
    guard delay == .zero else { return timer?.schedule(after: delay) ?? () }
    node.uploads.spend(byteCount: part.count, now: node.loop.now)
    isReading = true
    read(part)
  }

  private func nextPart() -> ByteRange? {
    let wanted =
      node.settings.uploadByteRate == nil ? Self.windowByteCount : Geometry.blockByteCount
    return ByteRange(offset: position, count: min(wanted, readyEnd - position))
  }

  private func read(_ part: ByteRange) {
    let start = transfer.geometry.byteRange(of: piece).offset
    let size = Geometry.blockByteCount
    let (first, last) = ((part.offset - start) / size, (part.last - start) / size)
    let end = min(start + (last + 1) * size, transfer.geometry.byteCount)
    guard first <= last, last < hashes.count,
      let blocks = ByteRange(offset: start + first * size, count: end - start - first * size)
    else { return breakOff() }
    let (stored, leaves) = (transfer.stored, Array(hashes[first...last]))
    node.offLoop.run {
      stored.blocks(blocks, matching: leaves)
    } then: { [self] bytes in
      isReading = false
      guard !isOver else { return }
      guard let bytes else { return breakOff() }
      send(Array(bytes[(part.offset - blocks.offset)..<(part.end - blocks.offset)]))
    }
  }

  private func send(_ bytes: [UInt8]) {
    guard let connection else { return }
    position += bytes.count
    timer?.schedule(after: Self.waitMax)
    node.counters.passedOnBytes.add(bytes.count)
    connection.append(bytes)
    if connection.queuedByteCount == 0 { bodyDrained(on: connection) }
  }

  func bodyDrained(on connection: ServerConnection) {
    if position == range.end {
      connection.endStreaming()
    } else {
      sendMore()
    }
  }

  func bodyClosed(on connection: ServerConnection) {
    guard !isOver else { return }
    isOver = true
    timer?.cancel()
    transfer.arrivals.remove(self, of: piece)
    let sentByteCount = max(0, position - range.offset - connection.queuedByteCount)
    node.counters.sentContentBytes.add(sentByteCount)
    slot.end(sentByteCount: sentByteCount)
  }
}
