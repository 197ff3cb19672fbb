import Content
import HTTP
import Posix
import Storage
import Wire

/// One response of the gateway: sends what is verified of its ranges, in order, and has the
/// transfer fetch first what comes next.
final class GatewayStream: BodySource, TransferObserver {
  /// Bytes handed to the connection ahead of the network.
  private static let queuedByteCountMax = 2 << 20
  private static let sliceByteCountMax = 1 << 20
  /// How far ahead of the reader pieces are asked for before all others.
  private static let windowByteCount = 8 << 20

  private enum Part {
    case bytes([UInt8])
    case range(ByteRange)
  }

  private let plan: ContentPlan
  private let representation: Representation
  private let transfer: Transfer
  private let node: Node
  private weak var connection: ServerConnection?
  private var parts: [Part] = []
  private var partIndex = 0
  /// Bytes of the current range that were handed on.
  private var offset = 0
  /// What the connection has and the kernel may not: not to be evicted meanwhile.
  private var leaving: [PinnedSlice] = []
  private var wanted: PieceRun?

  init(
    _ plan: ContentPlan, _ representation: Representation, of transfer: Transfer, on node: Node
  ) {
    self.plan = plan
    self.representation = representation
    self.transfer = transfer
    self.node = node
  }

  func start(on connection: ServerConnection) {
    guard connection.isOpen else { return }
    let layout = plan.layout(of: representation)
    parts = layout.parts.map { part in
      switch part {
      case .bytes(let bytes): .bytes(bytes)
      case .range(let range): .range(range)
      }
    }
    self.connection = connection
    transfer.add(self)
    connection.startStreaming(layout.status, length: layout.byteCount, source: self) {
      layout.appendFields(to: &$0)
    }
    pump()
  }

  // MARK: Events

  func bodyDrained(on connection: ServerConnection) {
    leaving.removeAll(keepingCapacity: true)
    pump()
  }

  func bodyClosed(on connection: ServerConnection) {
    leaving = []
    transfer.removeReader(self)
    transfer.remove(self)
  }

  func transferGrew(_ transfer: Transfer) { pump() }
  func transferCompleted(_ transfer: Transfer) { pump() }

  /// Too late for a status: the response ends short, which its length shows.
  func transferFailed(_ transfer: Transfer, _ error: PeerError) {
    if partIndex < parts.count { connection?.close() }
  }

  private func pump() {
    guard let connection, connection.isOpen else { return }
    while partIndex < parts.count {
      guard connection.queuedByteCount < Self.queuedByteCountMax else { return }
      switch parts[partIndex] {
      case .bytes(let bytes):
        connection.append(bytes)
        partIndex += 1
      case .range(let range):
        guard let slice = nextSlice(of: range) else { return askFor(range) }
        connection.append(slice.slice)
        leaving.append(slice)
        offset += slice.slice.range.count
        if offset == range.count { (partIndex, offset) = (partIndex + 1, 0) }
      }
    }
    transfer.removeReader(self)
    // What is queued must not be evicted before the kernel has it: the drain comes back here.
    guard leaving.isEmpty else { return }
    // First: the connection may go on to its next request in the same call.
    self.connection = nil
    connection.endStreaming()
  }

  /// The verified bytes that come next, nil when there are none yet.
  private func nextSlice(of range: ByteRange) -> PinnedSlice? {
    let (geometry, start) = (transfer.geometry, range.offset + offset)
    let countMax = max(1, Self.sliceByteCountMax / geometry.pieceByteCount)
    guard let run = transfer.held.run(from: geometry.piece(at: start), countMax: countMax),
      let next = ByteRange(
        offset: start, count: min(geometry.byteRange(of: run).end, range.end) - start)
    else { return nil }
    return transfer.stored.pinnedSlice(next)
  }

  private func askFor(_ range: ByteRange) {
    let start = range.offset + offset
    guard
      let window = ByteRange(
        offset: start, count: min(Self.windowByteCount, range.end - start))
    else { return }
    let run = transfer.geometry.run(covering: window)
    guard run != wanted else { return }
    wanted = run
    transfer.setReader(self, wants: run)
  }
}
