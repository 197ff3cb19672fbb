import Content
import HTTP
import Logging
import Reactor
import Swarm
import Wire

/// One request for a run of pieces: takes its bytes off the connection into chunks and sends those
/// to the intake. Tells its transfer what happens; the transfer decides what follows.
final class RunFetch: ResponseReceiver {
  let id: RequestID
  let source: PeerID
  let run: PieceRun
  /// The source may be receiving it itself.
  let isArriving: Bool
  let connection: ClientConnection

  /// Kept: a cancelled response is read to its end, and its transfer may be over by then.
  private let transfer: Transfer
  private let range: ByteRange
  /// Of the package: where the next byte belongs.
  private var position: Int
  private var chunk: ChunkBuffer?
  private var chunkStart = 0
  private var chunkByteCount = 0
  private var assembly: PieceAssembly?
  /// How it ends when the response was not the run.
  private var refusal: FetchOutcome?
  private var isAccepted = false
  private var hasBegun = false
  private var began = Instant.zero
  private var isOver = false

  init(
    _ id: RequestID, from source: PeerID, _ run: PieceRun, isArriving: Bool = false,
    on connection: ClientConnection, for transfer: Transfer
  ) {
    self.id = id
    self.source = source
    self.run = run
    self.isArriving = isArriving
    self.connection = connection
    self.transfer = transfer
    range = transfer.geometry.byteRange(of: run)
    position = range.offset
  }

  deinit {
    if let chunk { transfer.node.intake.buffers.giveBack(chunk) }
  }

  /// Nothing more of it is wanted: what is under way is thrown away, or cut off when it is much.
  func cancel() {
    guard !isOver else { return }
    isOver = true
    giveUpChunk()
    if hasBegun {
      cutOffIfMuch()
    } else if connection.outstandingCount == 1 {
      connection.close()
    }
    // Else it waits behind the response of another, which is not to suffer for it.
  }

  private func cutOffIfMuch() {
    // Announces do not wait behind what nobody wants any more.
    if transfer.node.isControl(connection)
      || range.end - position > Self.discardedByteCountMax
    {
      connection.close()
    }
  }

  /// A cancelled response shorter than this is read to its end so that its connection lives on.
  private static let discardedByteCountMax = 128 * 1024

  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection) {
    hasBegun = true
    began = transfer.node.loop.now
    takeNews(head, bytes)
    if isOver { return cutOffIfMuch() }
    switch head.status {
    case .partialContent:
      let contentRange = head.value(of: .contentRange, in: bytes).flatMap { ContentRange($0) }
      isAccepted =
        contentRange?.range == range && head.contentLength == range.count
        && contentRange?.byteCount == transfer.geometry.byteCount
    case .ok:
      isAccepted =
        range.count == transfer.geometry.byteCount && head.contentLength == range.count
    case .serviceUnavailable, .tooManyRequests:
      refusal = .busy(retryAfter: retryDelay(head, bytes))
    case .notFound, .rangeNotSatisfiable, .gone:
      refusal = .notHeld
    default:
      refusal = .failed
    }
    if !isAccepted, refusal == nil { refusal = .failed }
  }

  /// One whose news makes no sense is asked like any other: the pieces are verified anyway.
  private func takeNews(_ head: ResponseHead, _ bytes: Span<UInt8>) {
    guard !source.isOrigin, let range = head.range(of: .spateHave) else { return }
    do throws(WireError) {
      let field = try HaveField(bytes, range, pieceCount: transfer.geometry.pieceCount)
      transfer.heard(field, from: source, at: connection.endpoint.address.unmapped)
    } catch {
      transfer.node.log.debug("a source's news were refused: \(error.reason)")
    }
  }

  private func retryDelay(_ head: ResponseHead, _ bytes: Span<UInt8>) -> Duration {
    if let text = head.value(of: .spateRetry, in: bytes), let count = Int(text),
      (0...60_000).contains(count)
    {
      return .milliseconds(count)
    }
    return head.retryAfter(in: bytes) ?? .seconds(1)
  }

  func responseBuffer() -> UnsafeMutableRawBufferPointer? {
    guard isAccepted, !isOver, position < range.end else { return nil }
    if chunk == nil { startChunk() }
    guard let chunk else { return nil }
    return UnsafeMutableRawBufferPointer(
      rebasing: chunk.bytes[(position - chunkStart)..<chunkByteCount])
  }

  private func startChunk() {
    let geometry = transfer.geometry
    let piece = geometry.piece(at: position)
    if position == geometry.byteRange(of: piece).offset {
      let together = isQuick ? ChunkBuffer.byteCount / geometry.pieceByteCount : 1
      let pieces = PieceRun(
        first: piece, count: min(max(1, together), run.end - piece.rawValue))
      let fresh = PieceAssembly(of: pieces, into: transfer.stored, for: id, from: source)
      assembly = fresh
      transfer.arrivals.began(fresh)
    }
    guard let assembly else { preconditionFailure("a run begins with a piece's first byte") }
    chunk = transfer.node.intake.buffers.take()
    chunkStart = position
    chunkByteCount = min(ChunkBuffer.byteCount, assembly.range.end - position)
  }

  /// Whole chunks are cheaper to hash and to write than small pieces, and where they come fast
  /// nobody waits longer for the first piece in them. A few pieces may have come as one burst.
  private var isQuick: Bool {
    let byteCount = position - range.offset
    return byteCount >= Self.burstByteCountMax
      && Double(byteCount) >= (transfer.node.loop.now - began).seconds * Self.quickByteRate
  }

  private static let burstByteCountMax = 256 * 1024
  private static let quickByteRate = Double(32 << 20)

  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {
    guard isAccepted, !isOver, chunk != nil else { return }
    position += bytes.count
    let isChunkFull = position == chunkStart + chunkByteCount
    let arrived = isChunkFull ? submitChunk() : nil
    if isChunkFull, transfer.node.intake.isOverloaded { transfer.node.pause(connection) }
    transfer.received(bytes.count, by: self)
    if let arrived { for piece in arrived.pieces { transfer.feed(.arrived(piece, id)) } }
  }

  /// - Returns: the pieces that are now whole.
  private func submitChunk() -> PieceRun? {
    guard let chunk, let assembly else { return nil }
    self.chunk = nil
    transfer.node.intake.submit(chunk, byteCount: chunkByteCount, at: chunkStart, of: assembly)
    return position == assembly.range.end ? assembly.run : nil
  }

  /// What came whole of a chunk that will not be filled is kept.
  private func submitWholePieces() -> PieceRun? {
    guard let pieces = assembly?.run, pieces.count > 1, chunk != nil else { return nil }
    let count = (position - chunkStart) / transfer.geometry.pieceByteCount
    guard count > 0 else { return nil }
    let whole = PieceRun(first: pieces.first, count: count)
    let smaller = PieceAssembly(of: whole, into: transfer.stored, for: id, from: source)
    assembly = smaller
    chunkByteCount = smaller.range.count
    _ = submitChunk()
    return whole
  }

  func responseEnded(on connection: ClientConnection) {
    end(refusal ?? (position == range.end ? .complete : .failed))
  }

  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) {
    switch failure {
    // Who passes on what it still receives ends when its own source does.
    case .timedOut where isArriving && isAccepted: end(.brokenOff)
    case .connection where isArriving && isAccepted: end(.brokenOff)
    case .timedOut: end(.stalled)
    // We closed the connection because of another request on it: nobody is to blame.
    case .cancelled: end(.busy(retryAfter: .zero))
    case .connection, .unreachable, .malformed: end(.failed)
    }
  }

  /// A cancelled one may outlive its transfer, and has nothing to tell it.
  private func end(_ outcome: FetchOutcome) {
    guard !isOver else { return }
    isOver = true
    let arrived = submitWholePieces()
    giveUpChunk()
    if let arrived { for piece in arrived.pieces { transfer.feed(.arrived(piece, id)) } }
    transfer.ended(self, outcome)
  }

  private func giveUpChunk() {
    if let assembly, position < assembly.range.end { transfer.arrivals.lost(assembly) }
    guard let chunk else { return }
    transfer.node.intake.buffers.giveBack(chunk)
    self.chunk = nil
  }
}
