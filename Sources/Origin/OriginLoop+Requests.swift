import Content
import HTTP
import Logging
import Wire

/// From a request to the one who answers it.
extension OriginLoop {
  func bodyByteCountMax(of head: RequestHead, bytes: Span<UInt8>) -> Int {
    guard head.method == .post, case .announce = Route(bytes, head.path) else { return 0 }
    return Announce.bodyByteCountMax
  }

  func handle(
    _ head: RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, on connection: ServerConnection
  ) {
    if logsRequests { logRequest(head, bytes, connection) }
    let route = Route(bytes, head.path)
    switch head.method {
    case .get, .head: break
    case .post:
      guard case .announce = route else { return refuseMethod(route, connection) }
      return answerAnnounce(body, head, bytes, connection)
    case .options: return answerOptions(route, connection)
    case .put, .delete, .patch, .trace: return refuseMethod(route, connection)
    }
    switch route {
    case .file: serveFile(head, bytes, connection)
    case .manifest(let path): serveManifest(path, bytes, connection)
    case .package(let id): servePackage(id, head, bytes, connection)
    case .tree(let id): serveTree(id, head, bytes, connection)
    case .have(let id): serveHave(id, head, bytes, connection)
    case .referral(let id): answerReferral(id, head, bytes, connection)
    case .announce: refuseMethod(route, connection)
    case .metrics: answerMetrics(connection)
    case .status: answerStatus(connection)
    case .health: answerHealth(connection)
    case .unknown:
      metrics.count(.other)
      connection.respondText(.notFound, "no such endpoint")
    }
  }

  private func refuseMethod(_ route: Route, _ connection: ServerConnection) {
    metrics.count(.other)
    connection.respondMethodNotAllowed(Self.methods(route))
  }

  private func answerOptions(_ route: Route, _ connection: ServerConnection) {
    metrics.count(.other)
    connection.respond(.noContent) { HeadWriter.field(.allow, Self.methods(route), to: &$0) }
  }

  private static func methods(_ route: Route) -> String {
    switch route {
    case .announce: "POST, OPTIONS"
    case .file, .manifest, .package, .tree, .have, .referral, .metrics, .status, .health,
      .unknown:
      "GET, HEAD, OPTIONS"
    }
  }

  private func logRequest(
    _ head: RequestHead, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    log.debug(
      "request",
      metadata: [
        "method": "\(head.method.rawValue)", "target": "\(text(bytes, head.target))",
        "range": "\(head.value(of: .range, in: bytes) ?? "-")", "from": "\(connection.remote)",
      ])
  }

  func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
  }

  /// The package named at the end of a path; answers 404 when there can be none.
  func packageID(
    _ bytes: Span<UInt8>, _ range: Range<Int>, _ connection: ServerConnection
  ) -> PackageID? {
    if let id = PackageID(hex: text(bytes, range)) { return id }
    connection.respondText(.notFound, "a package is named by 64 base-16 digits")
    return nil
  }

  func refuse(_ error: WireError, _ connection: ServerConnection) {
    metrics.statistics.countMalformed()
    connection.respondText(error.status, error.reason)
  }
}
