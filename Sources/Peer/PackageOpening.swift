import Content
import Digests
import HTTP
import Reactor
import Storage
import Wire

/// From a manifest to a running transfer: finds the package in the cache, or asks for its piece
/// layer and makes room for it. One opening for each package, however many wait.
final class PackageOpening {
  typealias Completion = (Result<Transfer, PeerError>) -> Void

  private static let silenceMax = Duration.seconds(5)

  private unowned let node: Node
  private var waiting: [PackageID: [Completion]] = [:]
  private var onDemand: Set<PackageID> = []

  init(_ node: Node) { self.node = node }

  /// - Parameter isOnDemand: a new transfer fetches only what readers want.
  func open(
    _ manifest: Manifest, isOnDemand: Bool = false, _ completion: @escaping Completion
  ) {
    if isOnDemand { onDemand.insert(manifest.id) }
    if let transfer = node.transfers[manifest.id] { return completion(.success(transfer)) }
    if waiting[manifest.id] != nil {
      waiting[manifest.id]?.append(completion)
      return
    }
    waiting[manifest.id] = [completion]
    // The root of a package of one piece is its whole piece layer.
    guard manifest.geometry.pieceCount > 1 else {
      return store(manifest, manifest.geometry.pieceCount == 0 ? [] : [manifest.id.root])
    }
    let (store, id) = (node.store, manifest.id)
    node.offLoop.run {
      Result { () throws(StorageError) in try store.reopen(id) }
    } then: { [self] result in
      switch result {
      case .success(let stored?): finish(manifest, .success(stored))
      case .success(nil): askForTree(manifest, RetrySchedule(now: node.loop.now))
      case .failure(let error): finish(manifest, .failure(error.asPeerError))
      }
    }
  }

  private func askForTree(_ manifest: Manifest, _ schedule: RetrySchedule) {
    let geometry = manifest.geometry
    guard let slice = TreeSlice(shape: geometry.tree, wholeLayer: geometry.pieceLayer) else {
      preconditionFailure("a piece layer is never too large to ask for")
    }
    let connection = node.controlConnection()
    let receiver = WholeResponse(byteCountMax: TreeMessage.byteCountMax) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let message): self.received(message, of: slice, for: manifest, schedule)
      case .failure(let failure):
        let isAgain = self.node.retry(schedule, after: failure, on: connection) { [weak self] in
          self?.askForTree(manifest, $0)
        }
        guard !isAgain else { return }
        self.finish(manifest, .failure(PeerError("the origin did not send the tree: \(failure)")))
      }
    }
    connection.send(
      .get, "/-/tree/\(manifest.id)?\(TreeQuery(slice).text)", silenceMax: Self.silenceMax,
      receiver: receiver)
  }

  private func received(
    _ message: WholeResponse.Message, of slice: TreeSlice, for manifest: Manifest,
    _ schedule: RetrySchedule
  ) {
    switch message.status {
    case .ok:
      do throws(WireError) {
        let tree = try TreeMessage.decode(message.body.span, for: slice)
        guard
          TreeHash.verify(
            slice: slice, nodes: tree.nodes, proof: tree.proof, root: manifest.id.root)
        else {
          return finish(
            manifest,
            .failure(
              PeerError("the origin's tree does not belong to its manifest", isUnverified: true)))
        }
        store(manifest, tree.nodes)
      } catch {
        finish(manifest, .failure(PeerError("the origin's tree is malformed: \(error.reason)")))
      }
    case .serviceUnavailable:
      let wish = message.retryAfter ?? .seconds(1)
      guard let delay = schedule.next(wish: wish, now: node.loop.now) else { fallthrough }
      node.waits("the origin is too busy for the package's tree", for: delay) { [weak self] in
        self?.askForTree(manifest, schedule)
      }
    default:
      finish(
        manifest, .failure(PeerError("the origin refused the package's tree: \(message.status)")))
    }
  }

  private func store(_ manifest: Manifest, _ pieceLayer: [SHA256Digest]) {
    let store = node.store
    node.offLoop.run {
      Result { () throws(StorageError) in
        try store.open(
          id: manifest.id, geometry: manifest.geometry, pieceLayer: pieceLayer,
          metadata: manifest.json())
      }
    } then: { [self] (result: Result<StoredPackage, StorageError>) in
      finish(manifest, result.mapError { $0.asPeerError })
    }
  }

  private func finish(_ manifest: Manifest, _ result: Result<StoredPackage, PeerError>) {
    let completions = waiting.removeValue(forKey: manifest.id) ?? []
    let isOnDemand = onDemand.remove(manifest.id) != nil
    switch result {
    case .success(let stored):
      let transfer =
        node.transfers[manifest.id]
        ?? Transfer(manifest, stored: stored, isOnDemand: isOnDemand, on: node)
      if node.transfers[manifest.id] == nil { node.adopt(transfer) }
      for completion in completions { completion(.success(transfer)) }
    case .failure(let error):
      for completion in completions { completion(.failure(error)) }
    }
  }
}

extension StorageError {
  var asPeerError: PeerError { PeerError("\(self)") }
}
