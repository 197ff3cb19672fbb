import Content
import Testing

@testable import Wire

/// Values that use every field and every branch of the binary forms.
enum Sample {
  static let id = PackageID(root: digest(7))

  static func digest(_ seed: UInt8) -> SHA256Digest {
    let bytes = (0..<32).map { UInt8($0) &* 7 &+ seed }
    return SHA256Digest(bytes.span)
  }

  static func run(_ first: Int, _ count: Int) -> PieceRun {
    PieceRun(first: PieceIndex(first), count: count)
  }

  static func pieces(_ count: Int, _ members: some Sequence<Int>) -> PieceSet {
    var pieces = PieceSet(pieceCount: count)
    for member in members { pieces.insert(PieceIndex(member)) }
    return pieces
  }

  static let announce = Announce(
    peer: PeerID(high: 0x0102_0304_0506_0708, low: 9), port: 6_881, site: "rack ä", isLeaving: true,
    uploads: UploadLoad(active: 3, limit: 8, byteRate: 12_500_000),
    reports: [
      PackageReport(
        package: id, pieceCount: 300,
        holdings: .changes(gained: [run(0, 4), run(200, 100)], evicted: [run(5, 1)]),
        wantedPieceCount: 12, isStarving: true,
        deliveries: [
          Delivery(source: .origin, byteCount: 1 << 40, duration: .microseconds(1_234_567))
        ],
        complaints: [
          Complaint(source: PeerID(high: 5, low: 6), kind: .stalled, piece: PieceIndex(299))
        ]),
      PackageReport(
        package: id, pieceCount: 40, holdings: .whole(pieces(40, stride(from: 0, to: 40, by: 2)))),
      PackageReport(package: id, pieceCount: 8_192, holdings: .whole(.full(pieceCount: 8_192))),
      PackageReport(package: id, pieceCount: 0, holdings: .whole(PieceSet(pieceCount: 0))),
    ])

  static let referral = Referral(
    interval: .milliseconds(2_500),
    packages: [
      PackageReferral(
        package: id, pieceCount: 300, wantsWhole: true,
        leases: [Lease(run: run(10, 5), term: .seconds(4))],
        sources: [
          Source(
            peer: .origin, endpoint: Endpoint(address: .loopback, port: 8_080),
            heldPieceCount: 300, uploads: UploadLoad(active: 1, limit: 64, byteRate: 0),
            isNear: false),
          Source(
            peer: PeerID(high: 1, low: 2),
            endpoint: Endpoint(address: .v6(0xfe80 << 48, 1), port: 1),
            heldPieceCount: 0, uploads: UploadLoad(active: 0, limit: 4, byteRate: 9), isNear: true),
        ],
        promises: [
          Promise(holder: PeerID(high: 1, low: 2), run: run(0, 300), expected: .seconds(1))
        ],
        suspended: [PeerID(high: 3, low: 4), PeerID(high: 5, low: 6)]),
      PackageReferral(package: id, pieceCount: 0),
    ])

  static let frames: [HaveFrame] = [
    .bitmap(pieces(300, [0, 17, 299])), .gained([run(1, 16)]), .keepAlive, .evicted([run(0, 1)]),
    .promised([run(18, 2), run(30, 1)], within: .milliseconds(40)), .bitmap(.full(pieceCount: 300)),
    .gained([]),
  ]

  static var stream: [UInt8] { HaveFrame.preamble + frames.flatMap { $0.encode() } }

  static func tree() throws -> TreeMessage {
    let shape = TreeShape(leafCount: 21)
    let slice = try #require(TreeSlice(shape: shape, layer: 1, first: 4, width: 4))
    return TreeMessage(
      slice: slice, nodes: (0..<slice.count).map { digest(UInt8($0)) },
      proof: (0..<slice.proofCount).map { digest(UInt8(100 + $0)) })
  }
}

@Suite struct CodingTests {
  @Test func announcesComeBack() throws {
    #expect(try Announce.decode(Sample.announce.encode()) == Sample.announce)
  }

  @Test func referralsComeBack() throws {
    #expect(try Referral.decode(Sample.referral.encode()) == Sample.referral)
  }

  @Test func treePartsComeBack() throws {
    let message = try Sample.tree()
    #expect(try TreeMessage.decode(message.encode(), for: message.slice) == message)
  }

  @Test func anAnswerForAnotherPartIsRefused() throws {
    let message = try Sample.tree()
    let shape = message.slice.shape
    for (layer, first, width) in [(1, 0, 4), (0, 4, 4), (1, 4, 2), (1, 8, 4), (2, 4, 1)] {
      let other = try #require(TreeSlice(shape: shape, layer: layer, first: first, width: width))
      #expect(throws: WireError.self) { try TreeMessage.decode(message.encode(), for: other) }
    }
    let other = try #require(
      TreeSlice(shape: TreeShape(leafCount: 22), layer: 1, first: 4, width: 4))
    #expect(throws: WireError.self) { try TreeMessage.decode(message.encode(), for: other) }
  }

  @Test func treeQueries() throws {
    let slice = try Sample.tree().slice
    let query = TreeQuery(slice)
    #expect(query.text == "layer=1&first=4&width=4")
    #expect(try TreeQuery(query.text) == query)
    #expect(query.slice(of: slice.shape) == slice)
    #expect(try TreeQuery("x=1&first=4&width=4&layer=1") == query)
    let whole = try #require(TreeSlice(shape: slice.shape, wholeLayer: 0))
    #expect(TreeQuery(whole).slice(of: slice.shape) == whole)
  }

  @Test(arguments: [
    "", "layer=1", "layer=1&first=4", "layer=1&layer=1&first=4&width=4", "layer=&first=4&width=4",
    "layer=-1&first=4&width=4", "layer=1&first=4&width=99999999999999999999",
    "layer=1&first=4&width=0x4", "layer=%zz&first=4&width=4",
  ])
  func treeQueriesThatAreNone(_ text: String) {
    #expect(throws: WireError.self) { try TreeQuery(text) }
  }

  @Test(arguments: [
    "layer=0&first=0&width=3", "layer=9&first=0&width=1", "layer=0&first=1&width=2",
    "layer=0&first=32&width=1", "layer=0&first=0&width=0",
    "layer=9223372036854775807&first=0&width=1", "layer=0&first=9223372036854775807&width=1",
  ])
  func slicesThatAreNone(_ text: String) throws {
    #expect(try TreeQuery(text).slice(of: TreeShape(leafCount: 21)) == nil)
  }

  @Test func theWidestQueryIsTheWholeTree() throws {
    let query = try TreeQuery("layer=0&first=0&width=4611686018427387904")
    #expect(query.slice(of: TreeShape(leafCount: 21))?.count == 21)
  }

  @Test func runsAreWrittenSortedAndMerged() throws {
    var announce = Sample.announce
    let gained = [Sample.run(9, 1), Sample.run(0, 2), Sample.run(2, 3), Sample.run(1, 2)]
    announce.reports[0].holdings = .changes(gained: gained, evicted: [])
    let decoded = try Announce.decode(announce.encode())
    #expect(
      decoded.reports[0].holdings
        == .changes(gained: [Sample.run(0, 5), Sample.run(9, 1)], evicted: []))
  }

  @Test func listsAndTextsAreCutAtTheirLimits() throws {
    var announce = Sample.announce
    announce.site = String(repeating: "ä", count: 40) + "\n"
    announce.reports = Array(repeating: Sample.announce.reports[3], count: 70)
    let decoded = try Announce.decode(announce.encode())
    #expect(decoded.site == String(repeating: "ä", count: 32))
    #expect(decoded.reports.count == Announce.reportCountMax)
  }

  @Test func aBodyThatIsTooLong() {
    let bytes = [UInt8](repeating: 0, count: Announce.bodyByteCountMax + 1)
    #expect(throws: WireError(.contentTooLarge, "an announce is at most 64 KiB")) {
      try Announce.decode(bytes)
    }
  }

  @Test func theLargestReferralAndTreePartFit() throws {
    let piece = Sample.run(8_191, 1)
    let peer = PeerID(high: .max, low: .max)
    let load = UploadLoad(active: 1 << 20, limit: 1 << 20, byteRate: 1 << 50)
    let package = PackageReferral(
      package: Sample.id, pieceCount: 8_192, wantsWhole: true,
      leases: Array(repeating: Lease(run: piece, term: .seconds(1 << 25)), count: 64),
      sources: Array(
        repeating: Source(
          peer: peer, endpoint: Endpoint(address: .v6(.max, .max), port: .max),
          heldPieceCount: 8_192, uploads: load, isNear: true), count: 64),
      promises: Array(
        repeating: Promise(holder: peer, run: piece, expected: .seconds(1 << 25)), count: 256))
    let referral = Referral(
      interval: .seconds(1 << 25), packages: Array(repeating: package, count: 64))
    #expect(referral.encode().count <= Referral.byteCountMax)
    #expect(try Referral.decode(referral.encode()) == referral)
    let shape = TreeShape(leafCount: Geometry.byteCountMax / Geometry.blockByteCount)
    let slice = try #require(
      TreeSlice(shape: shape, layer: 0, first: 8_192, width: TreeSlice.nodeCountMax))
    let message = TreeMessage(
      slice: slice, nodes: Array(repeating: .zero, count: slice.count),
      proof: Array(repeating: .zero, count: slice.proofCount))
    #expect(message.encode().count <= TreeMessage.byteCountMax)
  }

  @Test func scatteredPiecesFitOneFrame() {
    let pieces = Sample.pieces(8_192, stride(from: 0, to: 8_192, by: 2))
    let frame = HaveFrame.promised(pieces.runs, within: .seconds(1)).encode()
    #expect(frame.count <= HaveFrame.payloadByteCountMax)
  }
}

@Suite struct HaveStreamTests {
  private func frames(_ parts: [ArraySlice<UInt8>], pieceCount: Int = 300) throws -> [HaveFrame] {
    var decoder = HaveDecoder(pieceCount: pieceCount)
    var frames: [HaveFrame] = []
    for part in parts {
      let bytes = Array(part)
      try decoder.decode(bytes.span, into: &frames)
    }
    return frames
  }

  @Test func anySplitGivesTheSameFrames() throws {
    for parts in splits(of: Sample.stream) { #expect(try frames(parts) == Sample.frames) }
  }

  @Test func everyTruncationIsABeginning() throws {
    let stream = Sample.stream
    for count in stream.indices {
      let read = try frames([stream[..<count]])
      #expect(read.count < Sample.frames.count && read == Array(Sample.frames[..<read.count]))
    }
  }

  @Test(arguments: [
    [UInt8(ascii: "X")], HaveFrame.preamble.dropLast() + [2], HaveFrame.preamble + [0, 0],
    HaveFrame.preamble + [9, 0], HaveFrame.preamble + [1, 1, 0],
    HaveFrame.preamble + [1, 0xff, 0xff, 0x7f], HaveFrame.preamble + [1, 0x80, 0x80, 0x80],
    HaveFrame.preamble + [1, 0x80, 0x00],
  ])
  func streamsThatAreNone(_ bytes: [UInt8]) {
    #expect(throws: WireError.self) { try frames([bytes[...]]) }
  }

  @Test(arguments: [
    [2, 2, 0, 0], [2, 1, 1], [2, 3, 1, 0, 0], [2, 4, 1, 0, 1, 0],
    [2, 5, 2, 0, 1, 0, 1], [2, 5, 1, 0xac, 0x02, 1, 0], [2, 4, 1, 0xac, 0x02, 1], [0, 1, 0],
    [4, 1, 0], [2, 2, 0x80, 0x00],
  ])
  func framesThatAreNone(_ frame: [UInt8]) {
    let start = HaveFrame.preamble + HaveFrame.bitmap(PieceSet(pieceCount: 300)).encode()
    #expect(throws: WireError.self) { try frames([(start + frame)[...]]) }
  }
}

/// Bytes that nobody meant: whatever they are, they are read or refused, and nothing traps.
@Suite struct CorruptionTests {
  private struct Form {
    let name: String
    let bytes: [UInt8]
    let decode: ([UInt8]) throws -> Void

    func accepts(_ bytes: [UInt8]) -> Bool {
      do {
        try decode(bytes)
        return true
      } catch {
        return false
      }
    }
  }

  private static func readStream(_ bytes: [UInt8]) throws {
    var decoder = HaveDecoder(pieceCount: 300)
    var frames: [HaveFrame] = []
    try decoder.decode(bytes.span, into: &frames)
    if frames.count < Sample.frames.count { throw WireError(.badGateway, "cut short") }
  }

  private static func forms() throws -> [Form] {
    let tree = try Sample.tree()
    let manifest = try #require(JSONTests.manifest)
    return [
      Form(name: "announce", bytes: Sample.announce.encode()) {
        _ = try Announce.decode($0).encode()
      },
      Form(name: "referral", bytes: Sample.referral.encode()) {
        _ = try Referral.decode($0).encode()
      },
      Form(name: "tree", bytes: tree.encode()) {
        _ = try TreeMessage.decode($0, for: tree.slice)
      },
      Form(name: "have", bytes: Sample.stream) { try readStream($0) },
      Form(name: "manifest", bytes: manifest.json()) { _ = try Manifest.parse($0) },
    ]
  }

  @Test func truncationsAndTrailingBytesAreRefused() throws {
    for form in try Self.forms() {
      let (name, bytes) = (form.name, form.bytes)
      #expect(form.accepts(bytes), "\(name)")
      for count in bytes.indices {
        #expect(!form.accepts(Array(bytes[..<count])), "\(name) \(count)")
      }
      if name != "have" { #expect(!form.accepts(bytes + [0x30]), "\(name)") }
    }
  }

  @Test func singleBytesChanged() throws {
    for form in try Self.forms() {
      let bytes = form.bytes
      var changed = bytes
      for index in bytes.indices {
        for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff, bytes[index] ^ 1, bytes[index] &+ 1] {
          changed[index] = value
          _ = form.accepts(changed)
        }
        changed[index] = bytes[index]
      }
      #expect(form.accepts(changed))
    }
  }

  @Test func randomChanges() throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("corruption: seed \(seed)")
    var generator = SeededGenerator(seed: seed)
    for form in try Self.forms() {
      let (name, bytes) = (form.name, form.bytes)
      for _ in 0..<4_000 {
        var changed = bytes
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
          let index = Int.random(in: 0..<changed.count, using: &generator)
          switch UInt8.random(in: 0...3, using: &generator) {
          case 0: changed.remove(at: index)
          case 1: changed.insert(UInt8.random(in: 0...255, using: &generator), at: index)
          default: changed[index] = UInt8.random(in: 0...255, using: &generator)
          }
        }
        _ = form.accepts(changed)
      }
      #expect(form.accepts(bytes), "\(name)")
    }
  }

  @Test func randomHeads() {
    let seed = UInt64.random(in: 0 ... .max)
    print("heads: seed \(seed)")
    var generator = SeededGenerator(seed: seed)
    let words = [
      "GET", " ", "/", "HTTP/1.1", "\r\n", "\r", "\n", "Host:", "a", ":", "Content-Length: 5",
      "Transfer-Encoding: chunked", "\0", "\t", "%", "..", "?", "#", "*", "http://", "[", "]", "é",
    ]
    for _ in 0..<20_000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 1...14, using: &generator) {
        bytes += words.randomElement(using: &generator)!.utf8
      }
      if Bool.random(using: &generator) { bytes += Array("\r\n\r\n".utf8) }
      let whole = outcome(.request, parts: [bytes[...]], read: requestText)
      #expect(
        outcome(.request, parts: bytes.indices.map { bytes[$0...$0] }, read: requestText) == whole)
      _ = outcome(.response, parts: [bytes[...]], read: responseText)
      _ = try? requestText(bytes[...])
      _ = try? responseText(bytes[...])
    }
  }
}
