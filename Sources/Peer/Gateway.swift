import Content
import HTTP
import Logging
import Reactor
import Wire

/// Serves the origin's names to local programs out of the swarm: `GET /PATH` is the origin's file,
/// streamed as its verified beginning grows.
final class Gateway: RequestHandler {
  /// How long a program waits for the origin to have the digests of a file.
  private static let patience = Duration.seconds(60)

  /// Before a silent origin's last word on a name is used, or an error answered.
  private static let originPatience = Duration.seconds(10)

  private unowned let node: Node
  private let loader: ManifestLoader
  /// What the origin last said of a name, for when it says nothing.
  private var remembered: [String: Manifest] = [:]
  private static let rememberedCountMax = 65_536

  init(_ node: Node) {
    self.node = node
    loader = ManifestLoader(node, patience: Self.originPatience)
  }

  /// Names the cache knew before this process started.
  func remember(_ manifest: Manifest) {
    if remembered.count >= Self.rememberedCountMax { remembered.removeAll() }
    remembered[manifest.path] = manifest
  }

  func bodyByteCountMax(of head: RequestHead, bytes: Span<UInt8>) -> Int { 0 }

  func handle(
    _ head: RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, on connection: ServerConnection
  ) {
    guard head.method == .get || head.method == .head else {
      return connection.respondMethodNotAllowed("GET, HEAD")
    }
    let path: String
    do throws(WireError) {
      let target = try RequestTarget(bytes, head.path)
      guard !target.relativePath.isEmpty, !target.namesDirectory else {
        return connection.respondText(.notFound, "the gateway serves files, not directories")
      }
      path = PercentEncoding.encode(path: "/" + target.relativePath)
    } catch {
      return connection.respondText(error.status, error.reason)
    }
    if path == "/-/health" { return connection.respondText(.ok, "ok") }
    guard !path.hasPrefix("/-/") else {
      return connection.respondText(.notFound, "the gateway serves files by the origin's names")
    }
    let request = GatewayRequest(
      head: head, bytes: (0..<bytes.count).map { bytes[$0] }, path: path, connection: connection)
    resolve(request, since: node.loop.now)
  }

  private func resolve(_ request: GatewayRequest, since start: Instant) {
    loader.load(request.path) { [weak self] answer in
      self?.answered(answer, request, since: start)
    }
  }

  private func answered(
    _ answer: ManifestAnswer, _ request: GatewayRequest, since start: Instant
  ) {
    let connection = request.connection
    guard connection.isOpen else { return }
    switch answer {
    case .manifest(let manifest):
      remember(manifest)
      open(manifest, request)
    case .notReady(let delay):
      guard node.loop.now - start < Self.patience else {
        return connection.respondText(
          .serviceUnavailable, "the origin has not finished hashing this file"
        ) { HeadWriter.field(.retryAfter, Int(delay.seconds.rounded(.up)), to: &$0) }
      }
      node.after(min(delay, .milliseconds(500))) { [weak self] in
        self?.resolve(request, since: start)
      }
    case .notFound:
      connection.respondText(.notFound, "the origin has no such file")
    case .unreachable(let reason):
      if let manifest = remembered[request.path] {
        open(manifest, request)
      } else {
        connection.respondText(.badGateway, "the origin cannot be reached: \(reason)")
      }
    case .notSpate:
      connection.respondText(.badGateway, "the origin is not a Spate origin")
    case .refused(let status):
      connection.respondText(.badGateway, "the origin refused: \(status)")
    case .malformed(let reason):
      connection.respondText(.badGateway, "the origin's manifest is malformed: \(reason)")
    }
  }

  private func open(_ manifest: Manifest, _ request: GatewayRequest) {
    let representation = Representation(
      byteCount: manifest.byteCount, etag: EntityTag(manifest.id).field,
      modified: manifest.modified, contentType: Array(ContentType.of(manifest.name).utf8))
    let plan = ContentPlan(request.head, bytes: request.bytes.span, for: representation)
    let needsBytes =
      switch plan {
      case .whole, .range, .ranges: request.head.method == .get && manifest.byteCount > 0
      case .notModified, .preconditionFailed, .unsatisfiable: false
      }
    guard needsBytes else {
      return request.connection.respond(plan, withoutBodyOf: representation)
    }
    // What the cache could not hold as a whole is fetched as it is read.
    let isTooLarge = manifest.byteCount > node.settings.cacheByteCountMax ?? .max
    node.opening.open(manifest, isOnDemand: isTooLarge) { [self] result in
      switch result {
      case .success(let transfer):
        if !isTooLarge { transfer.widen() }
        GatewayStream(plan, representation, of: transfer, on: node)
          .start(on: request.connection)
      case .failure(let error):
        node.log.error("cannot open a package: \(error)", metadata: ["path": "\(request.path)"])
        request.connection.respondText(.badGateway, error.description)
      }
    }
  }
}

/// A request that waits for the origin's answer: what of it is needed then.
struct GatewayRequest {
  let head: RequestHead
  let bytes: [UInt8]
  let path: String
  let connection: ServerConnection
}
