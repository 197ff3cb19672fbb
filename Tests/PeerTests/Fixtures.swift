import Content
import Digests
import Foundation
import HTTP
import Logging
import Posix
import Reactor
import Storage
import Swarm
import Testing
import Wire

@testable import Peer

/// A package of bytes that differ from block to block.
struct SamplePackage {
  let bytes: [UInt8]
  let digests: PackageDigests
  let geometry: Geometry
  let pieceLayer: [SHA256Digest]
  let leaves: [SHA256Digest]
  let manifest: Manifest

  /// `pieceByteCount`: as a package has them that is too large for a test.
  init(
    byteCount: Int, pieceByteCount: Int? = nil, seed: UInt64 = 1, path: String = "/sample"
  ) throws {
    // Word by word: a debug build takes its time for each turn of a loop.
    var state = seed
    var bytes = [UInt8](repeating: 0, count: byteCount)
    bytes.withUnsafeMutableBytes { buffer in
      for offset in stride(from: 0, to: byteCount - 7, by: 8) {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        buffer.storeBytes(of: state ^ state >> 33, toByteOffset: offset, as: UInt64.self)
      }
    }
    self.bytes = bytes
    var hasher = PackageHasher()
    bytes.withUnsafeBytes { hasher.update($0) }
    let finished = hasher.finish()
    let digests = try #require(finished)
    self.digests = digests
    let geometry =
      try pieceByteCount.map {
        try #require(Geometry(byteCount: byteCount, pieceByteCount: $0))
      } ?? digests.geometry
    self.geometry = geometry
    leaves = bytes.withUnsafeBytes { TreeHash.leaves(of: $0) }
    pieceLayer = TreeHash.pieceLayer(leaves: leaves, geometry: geometry)
    manifest = try #require(
      Manifest(
        name: String(path.dropFirst()), id: digests.id, geometry: geometry,
        sha256: digests.sha256, md5: digests.md5, publisher: "test", path: path,
        modified: 1_000_000_000))
  }

  var allPieces: PieceRun { PieceRun(first: PieceIndex(0), count: geometry.pieceCount) }

  func piece(_ index: Int) -> [UInt8] {
    let range = geometry.byteRange(of: PieceIndex(index))
    return Array(bytes[range.offset..<range.end])
  }

  func open(in store: PieceStore) throws -> StoredPackage {
    try store.open(
      id: digests.id, geometry: geometry, pieceLayer: pieceLayer,
      metadata: manifest.json())
  }

  private func branch(below slice: TreeSlice) throws -> TreeBranch? {
    let run = try #require(TreeHash.pieces(under: slice, geometry: geometry))
    let first = run.first.rawValue * geometry.blocksPerPiece
    let end = min(run.end * geometry.blocksPerPiece, leaves.count)
    return TreeHash.branch(
      of: slice, leaves: Array(leaves[first..<end]), of: run, pieceLayer: pieceLayer,
      geometry: geometry)
  }

  func tree(_ query: String) throws -> [UInt8] {
    let text = Array(query.utf8)
    let slice = try #require(try TreeQuery(text.span, 0..<text.count).slice(of: geometry.tree))
    let above = TreeHash.branch(of: slice, pieceLayer: pieceLayer, geometry: geometry)
    let branch = try #require(try above ?? branch(below: slice))
    return TreeMessage(slice: slice, nodes: branch.nodes, proof: branch.proof).encode()
  }
}

/// A directory of its own, gone with its owner.
final class ScratchDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "spate-peer-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
  }
}

/// A request as a fake server sees it.
struct FakeRequest {
  let method: String
  let path: String
  let query: String
  let range: String?
  let ifRange: String?
  let body: [UInt8]

  /// Of `bytes=FIRST-LAST` or `bytes=FIRST-`.
  func byteRange(of byteCount: Int) -> ByteRange? {
    guard let range, range.hasPrefix("bytes=") else { return nil }
    let ends = range.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let first = Int(ends[0]) else { return nil }
    let last = Int(ends[1]) ?? byteCount - 1
    return ByteRange(offset: first, count: min(last, byteCount - 1) - first + 1)
  }
}

/// A server on the test's own loop that answers as the test says.
final class FakeServer: RequestHandler {
  typealias Answer = (FakeRequest, ServerConnection) -> Void

  private(set) var requests: [FakeRequest] = []
  private(set) var endpoint = Endpoint(address: .loopback, port: 0)
  private var server: Server?
  private let answer: Answer

  init(_ loop: EventLoop, _ answer: @escaping Answer) throws {
    // A server that writes to a client that has gone must not end the process.
    try Posix.Process.prepare()
    self.answer = answer
    let server = Server(loop, handler: self)
    endpoint = try server.listen(on: endpoint)
    self.server = server
  }

  func url(_ path: String = "/") throws -> HTTPURL {
    try HTTPURL(parsing: "http://\(endpoint)\(path)")
  }

  func close() { server?.close() }

  func bodyByteCountMax(of head: RequestHead, bytes: Span<UInt8>) -> Int { 64 * 1024 }

  func handle(
    _ head: RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, on connection: ServerConnection
  ) {
    let copy = (0..<bytes.count).map { bytes[$0] }
    let text = { (range: Range<Int>) in String(decoding: copy[range], as: UTF8.self) }
    let request = FakeRequest(
      method: "\(head.method)", path: text(head.path), query: head.query.map(text) ?? "",
      range: head.value(of: .range, in: bytes), ifRange: head.value(of: .ifRange, in: bytes),
      body: body.withUnsafeBufferPointer { Array($0) })
    requests.append(request)
    answer(request, connection)
  }
}

extension ServerConnection {
  /// Part of `bytes`, or all of them, as the request asks.
  func send(_ bytes: [UInt8], for request: FakeRequest, tag: String = "\"one\"") {
    guard let range = request.byteRange(of: bytes.count) else {
      return respond(.ok, body: .bytes(bytes)) { HeadWriter.field(.etag, tag, to: &$0) }
    }
    respond(.partialContent, body: .bytes(Array(bytes[range.offset..<range.end]))) {
      HeadWriter.contentRange(range, of: bytes.count, to: &$0)
      HeadWriter.field(.etag, tag, to: &$0)
    }
  }
}

/// A body without an end.
final class OpenBody: BodySource {
  static func start(_ bytes: [UInt8], length: Int? = nil, on connection: ServerConnection) {
    connection.startStreaming(.ok, length: length, source: OpenBody())
    connection.append(bytes)
  }

  func bodyDrained(on connection: ServerConnection) {}
  func bodyClosed(on connection: ServerConnection) {}
}

/// Ends the connection once its beginning has left.
final class CutBody: BodySource {
  static func start(
    _ bytes: [UInt8], length: Int, on connection: ServerConnection,
    fields: (inout [UInt8]) -> Void = { _ in }
  ) {
    connection.startStreaming(.ok, length: length, source: CutBody(), fields: fields)
    connection.append(bytes)
  }

  func bodyDrained(on connection: ServerConnection) { connection.close() }
  func bodyClosed(on connection: ServerConnection) {}
}

/// Answers for one package as an origin does.
final class FakeOrigin {
  let package: SamplePackage
  private(set) var announces: [Announce] = []
  /// What an announce is answered with.
  var refer: (Announce, SamplePackage) -> PackageReferral = { _, package in
    PackageReferral(
      package: package.digests.id, pieceCount: package.geometry.pieceCount,
      leases: [Lease(run: package.allPieces, term: .seconds(30))])
  }
  /// Answers these first; true when it did.
  var intercept: (FakeRequest, ServerConnection) -> Bool = { _, _ in false }
  private(set) var server: FakeServer!

  init(_ loop: EventLoop, _ package: SamplePackage) throws {
    self.package = package
    server = try FakeServer(loop) { [unowned self] in self.answer($0, $1) }
  }

  var contentRanges: [ByteRange] {
    server.requests.compactMap {
      $0.path.hasPrefix("/-/package/") ? $0.byteRange(of: package.bytes.count) : nil
    }
  }

  private func answer(_ request: FakeRequest, _ connection: ServerConnection) {
    if intercept(request, connection) { return }
    switch request.path {
    case "/-/manifest\(package.manifest.path)":
      connection.respond(.ok, body: .bytes(package.manifest.json()))
    case "/-/tree/\(package.digests.id)":
      do {
        connection.respond(.ok, body: .bytes(try package.tree(request.query)))
      } catch {
        connection.respondText(.badRequest, "\(error)")
      }
    case "/-/package/\(package.digests.id)": connection.send(package.bytes, for: request)
    case "/-/announce": announced(request, connection)
    default: connection.respondText(.notFound, "nothing is here")
    }
  }

  private func announced(_ request: FakeRequest, _ connection: ServerConnection) {
    do {
      let announce = try Announce.decode(request.body.span)
      announces.append(announce)
      let packages = announce.reports.isEmpty ? [] : [refer(announce, package)]
      connection.respond(
        .ok, body: .bytes(Referral(interval: .seconds(1), packages: packages).encode()))
    } catch {
      connection.respondText(.badRequest, "\(error)")
    }
  }
}

/// A node with a cache of its own. To be closed by the test.
struct TestNode {
  let node: Node
  let directory: ScratchDirectory

  init(
    _ loop: EventLoop, origin: HTTPURL, cacheByteCountMax: Int? = nil, uploadCountMax: Int = 8,
    uploadByteRate: Int? = nil, prepare: (PieceStore) throws -> Void = { _ in }
  ) throws {
    directory = try ScratchDirectory()
    let store = try PieceStore(directory: directory.path + "/cache")
    try prepare(store)
    try store.close()
    var settings = Node.Settings(
      listen: [Endpoint(address: .loopback, port: 0)], cache: directory.path + "/cache")
    settings.cacheByteCountMax = cacheByteCountMax
    settings.uploadCountMax = uploadCountMax
    settings.uploadByteRate = uploadByteRate
    node = try Node(
      loop, origin: try Node.address(of: origin, authorities: nil), settings: settings,
      counters: PeerCounters(), log: .silent)
  }

  func close() throws { try node.close(removingStore: true) }

  func open(_ manifest: Manifest, isOnDemand: Bool = false) throws -> Transfer {
    var result: Result<Transfer, PeerError>?
    node.opening.open(manifest, isOnDemand: isOnDemand) { result = $0 }
    node.loop.run { result != nil }
    return try #require(result).get()
  }
}

extension Logger {
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

extension EventLoop {
  /// Turns the loop until the condition holds; a loop that stands still for long fails the test.
  func run(
    _ location: SourceLocation = #_sourceLocation, until condition: () -> Bool
  ) {
    var isLate = false
    let watchdog = Timer(self) { isLate = true }
    watchdog.schedule(after: .seconds(60))
    while !condition(), !isLate { turn(waits: true) }
    #expect(!isLate, "nothing happened for too long", sourceLocation: location)
  }

  /// One request on a connection of its own.
  func ask(
    _ endpoint: Endpoint, _ target: String, range: String? = nil, peer: PeerID? = nil
  ) throws -> WholeResponse.Message {
    let question = Question(self, endpoint, target, range: range, peer: peer)
    run { question.result != nil }
    return try #require(question.result).get()
  }
}

/// A request under way.
final class Question {
  private(set) var result: Result<WholeResponse.Message, RequestFailure>?
  let connection: ClientConnection

  init(
    _ loop: EventLoop, _ endpoint: Endpoint, _ target: String, range: String? = nil,
    peer: PeerID? = nil
  ) {
    connection = ClientConnection(loop, to: endpoint, host: "\(endpoint)")
    let receiver = WholeResponse(byteCountMax: 64 << 20) { [weak self] in self?.result = $0 }
    connection.send(.get, target, silenceMax: .seconds(30), receiver: receiver) { head in
      if let range { HeadWriter.field(.range, range, to: &head) }
      if let peer { HeadWriter.field(.spatePeer, "\(peer)", to: &head) }
    }
  }

  deinit { connection.close() }
}
