import Content
import Digests
import HTTP
import Reactor
import Storage
import Swarm
import Wire

/// The pieces of one package that are being received, and who is sent them meanwhile: block by
/// block, each as soon as it is verified by its own hash. The hashes of a piece's blocks are asked
/// for, of the one that sends the piece, when somebody wants it before it is whole.
final class Arrivals {
  /// One piece and its followers.
  private final class Arrival {
    let assembly: PieceAssembly
    /// Nil until they are known to lead to the piece's root.
    var hashes: [SHA256Digest]?
    var isAsking = false
    /// The hashes were asked for in vain.
    var isHopeless = false
    var uploads: [ArrivingUpload] = []

    init(_ assembly: PieceAssembly) { self.assembly = assembly }
  }

  private static let silenceMax = Duration.seconds(2)

  private unowned let transfer: Transfer
  private var arrivals: [PieceIndex: Arrival] = [:]

  init(_ transfer: Transfer) { self.transfer = transfer }

  /// Pieces that come in one chunk are whole as soon as anything of them can be passed on.
  private var isOfUse: Bool { transfer.asksForArriving }

  // MARK: Receipt

  /// The first bytes of a piece are about to come.
  func began(_ assembly: PieceAssembly) {
    guard isOfUse, arrivals[assembly.run.first] == nil else { return }
    arrivals[assembly.run.first] = Arrival(assembly)
  }

  /// The fetch of a piece is over before its last byte.
  func lost(_ assembly: PieceAssembly) {
    guard arrivals[assembly.run.first]?.assembly === assembly else { return }
    ended(assembly.run.first)
  }

  /// The piece was wrong, could not be kept, or is no longer wanted.
  func ended(_ piece: PieceIndex) {
    guard let arrival = arrivals.removeValue(forKey: piece) else { return }
    for upload in arrival.uploads { upload.breakOff() }
  }

  /// The piece is whole and verified; uploads of it go on to their end.
  func verified(_ piece: PieceIndex) {
    guard let arrival = arrivals.removeValue(forKey: piece) else { return }
    let end = transfer.geometry.byteRange(of: piece).end
    for upload in arrival.uploads {
      if arrival.hashes == nil { upload.breakOff() } else { upload.mayGo(to: end) }
    }
  }

  /// So many blocks from the first on are verified.
  func grew(_ piece: PieceIndex, provenBlockCount count: Int) {
    guard let arrival = arrivals[piece] else { return }
    let range = transfer.geometry.byteRange(of: piece)
    let end = min(range.end, range.offset + count * Geometry.blockByteCount)
    for upload in arrival.uploads { upload.mayGo(to: end) }
  }

  func endAll() {
    for piece in Array(arrivals.keys) { ended(piece) }
  }

  // MARK: Who wants it

  /// The piece that all of `range` is in, when it is under receipt and may be asked for.
  func piece(of range: ByteRange) -> PieceIndex? {
    let run = transfer.geometry.run(covering: range)
    guard run.count == 1, let arrival = arrivals[run.first], !arrival.isHopeless else { return nil }
    return run.first
  }

  /// Adds an upload of a piece that `piece(of:)` gave.
  func add(_ upload: ArrivingUpload, of piece: PieceIndex) {
    guard let arrival = arrivals[piece] else { return upload.breakOff() }
    arrival.uploads.append(upload)
    if let hashes = arrival.hashes {
      upload.know(hashes)
      grew(piece, provenBlockCount: arrival.assembly.provenBlockCount)
    } else {
      askForHashes(of: arrival)
    }
  }

  func remove(_ upload: ArrivingUpload, of piece: PieceIndex) {
    arrivals[piece]?.uploads.removeAll { $0 === upload }
  }

  /// The leaves of a piece that is not whole yet, for those who want them of us.
  func hashes(under slice: TreeSlice) -> (run: PieceRun, leaves: [SHA256Digest])? {
    guard let run = TreeHash.pieces(under: slice, geometry: transfer.geometry), run.count == 1,
      let leaves = arrivals[run.first]?.hashes
    else { return nil }
    return (run, leaves)
  }

  // MARK: Hashes

  private func askForHashes(of arrival: Arrival) {
    guard !arrival.isAsking else { return }
    arrival.isAsking = true
    let (geometry, piece) = (transfer.geometry, arrival.assembly.run.first)
    let slice = TreeSlice(
      shape: geometry.tree, layer: 0, first: piece.rawValue * geometry.blocksPerPiece,
      width: geometry.blocksPerPiece)
    guard let slice, let connection = transfer.treeConnection(to: arrival.assembly.source) else {
      return giveUp(arrival)
    }
    let isOwn = !transfer.node.isControl(connection)
    let receiver = WholeResponse(byteCountMax: TreeMessage.byteCountMax) {
      [weak self, weak connection] result in
      if isOwn { connection?.close() }
      self?.answered(result, slice, arrival)
    }
    connection.send(
      .get, "/-/tree/\(transfer.stored.id)?\(TreeQuery(slice).text)",
      silenceMax: Self.silenceMax, receiver: receiver)
  }

  private func answered(
    _ result: Result<WholeResponse.Message, RequestFailure>, _ slice: TreeSlice,
    _ arrival: Arrival
  ) {
    guard arrivals[arrival.assembly.run.first] === arrival else { return }
    guard case .success(let message) = result, message.status == .ok else {
      return giveUp(arrival)
    }
    do throws(WireError) {
      let tree = try TreeMessage.decode(message.body.span, for: slice)
      // The root of the piece is known: the proof above it says nothing new.
      guard arrival.assembly.matches(tree.nodes[...], arrival.assembly.run.first) else {
        return giveUp(arrival)
      }
      arrival.hashes = tree.nodes
      for upload in arrival.uploads { upload.know(tree.nodes) }
      transfer.node.intake.expect(tree.nodes, of: arrival.assembly)
    } catch {
      giveUp(arrival)
    }
  }

  /// Nothing of the piece can be shown to be right before it is whole.
  private func giveUp(_ arrival: Arrival) {
    arrival.isHopeless = true
    for upload in arrival.uploads { upload.breakOff() }
  }
}
