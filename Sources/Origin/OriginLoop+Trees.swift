import Content
import Digests
import HTTP
import Logging
import Posix
import Reactor
import Storage
import Wire

/// A part of a tree, or why there is none, on its way from a worker to the loop.
struct TreeAnswer: Sendable {
  let ticket: Int
  /// Nil when the file could not be read, or is not the one it was.
  let message: TreeMessage?
  let isJSON: Bool
}

/// Parts of the trees of packages: self-verifying, so anybody may pass them on.
extension OriginLoop {
  /// Parts waiting for a worker; beyond it a client is asked to come back.
  private static let waitingTreeCountMax = 256

  func serveTree(
    _ name: Range<Int>, _ head: RequestHead, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    metrics.count(.tree)
    guard let id = packageID(bytes, name, connection) else { return }
    do throws(WireError) {
      let query = try TreeQuery(bytes, head.query ?? head.path.upperBound..<head.path.upperBound)
      guard let found = state.catalogue.package(id) else {
        return connection.respondText(.notFound, "no such package")
      }
      let geometry = found.entry.manifest.geometry
      guard geometry.blockCount > 0, let slice = query.slice(of: geometry.tree) else {
        return connection.respondText(.notFound, "the tree has no such part")
      }
      if let whole = Self.wholePieceLayer(slice, found.entry) {
        return send(whole, asJSON: head.accepts(ContentType.json, in: bytes), connection)
      }
      guard state.workers.waitingCount < Self.waitingTreeCountMax else {
        return connection.respondText(.serviceUnavailable, "too many parts of trees are asked for")
        {
          HeadWriter.field(.retryAfter, 1, to: &$0)
        }
      }
      prepare(
        slice, found, asJSON: head.accepts(ContentType.json, in: bytes), connection)
    } catch {
      refuse(error, connection)
    }
  }

  /// What every peer asks for first is there already.
  private static func wholePieceLayer(
    _ slice: TreeSlice, _ entry: CatalogueEntry
  ) -> TreeMessage? {
    guard slice.layer == entry.manifest.geometry.pieceLayer, slice.proofCount == 0,
      slice.count == entry.pieceLayer.count
    else { return nil }
    return TreeMessage(slice: slice, nodes: entry.pieceLayer, proof: [])
  }

  private func prepare(
    _ slice: TreeSlice, _ found: Catalogue.Found, asJSON isJSON: Bool,
    _ connection: ServerConnection
  ) {
    guard let mailbox = treeMailbox else { return }
    let ticket = nextTicket
    nextTicket += 1
    awaitedTrees[ticket] = connection
    let (catalogue, log) = (state.catalogue, state.log)
    let isTaken = state.workers.submit {
      var message: TreeMessage?
      do {
        message = try catalogue.treeMessage(slice, of: found)
      } catch {
        log.warning("cannot read", metadata: ["path": "\(found.path)", "reason": "\(error)"])
      }
      mailbox.post(TreeAnswer(ticket: ticket, message: message, isJSON: isJSON))
    }
    if !isTaken { answer(TreeAnswer(ticket: ticket, message: nil, isJSON: isJSON)) }
  }

  func answer(_ answer: TreeAnswer) {
    guard let connection = awaitedTrees.removeValue(forKey: answer.ticket) else { return }
    guard let message = answer.message else {
      return connection.respondText(.notFound, "the package is not here any more")
    }
    send(message, asJSON: answer.isJSON, connection)
  }

  private func send(
    _ message: TreeMessage, asJSON isJSON: Bool, _ connection: ServerConnection
  ) {
    connection.respond(.ok, body: .bytes(isJSON ? message.json() : message.encode())) {
      HeadWriter.field(
        .contentType, isJSON ? ContentType.json : ContentType.message, to: &$0)
    }
  }
}

extension Catalogue {
  /// Cuts a slice out of a package's tree; below the piece layer the file is read for it.
  fileprivate func treeMessage(
    _ slice: TreeSlice, of found: Found
  ) throws(StorageError) -> TreeMessage? {
    let geometry = found.entry.manifest.geometry
    let pieceLayer = found.entry.pieceLayer
    let branch: TreeBranch?
    if let run = TreeHash.pieces(under: slice, geometry: geometry) {
      var leaves: [SHA256Digest] = []
      for piece in run.pieces {
        leaves += try self.leaves(of: piece, in: found.entry, file: found.file)
      }
      branch = TreeHash.branch(
        of: slice, leaves: leaves, of: run, pieceLayer: pieceLayer, geometry: geometry)
    } else {
      branch = TreeHash.branch(of: slice, pieceLayer: pieceLayer, geometry: geometry)
    }
    return branch.map { TreeMessage(slice: slice, nodes: $0.nodes, proof: $0.proof) }
  }
}
