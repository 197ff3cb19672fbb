import Content
import Foundation
import Testing

@testable import Wire

/// `Docs/PROTOCOL.md` says what the code does: its examples and its table of limits are read here.
@Suite struct ProtocolTests {
  private static let page: String = {
    let url = projectFolder.appending(path: "Docs/PROTOCOL.md")
    return (try? String(contentsOf: url, encoding: .utf8)) ?? ""
  }()

  private func example(_ tag: String) throws -> Substring {
    let start = try #require(Self.page.range(of: "\n```\(tag)\n"))
    let rest = Self.page[start.upperBound...]
    return rest[..<(try #require(rest.range(of: "\n```"))).lowerBound]
  }

  private func bytes(_ tag: String) throws -> [UInt8] {
    try example("hex \(tag)").split(separator: "\n").flatMap { line in
      let hex = (line.split(separator: "|", omittingEmptySubsequences: false).first ?? "")
        .filter { $0 != " " }
      return try #require(Hexadecimal.decode(hex))
    }
  }

  private static func digest(_ byte: UInt8) -> SHA256Digest {
    let bytes = [UInt8](repeating: byte, count: 32)
    return SHA256Digest(bytes.span)
  }

  private static let id = PackageID(root: digest(0x11))
  private static let other = PeerID(high: 0x2222_2222_2222_2222, low: 0x2222_2222_2222_2222)
  private static let load = UploadLoad(active: 1, limit: 4, byteRate: 1_000_000)

  private static let referral = Referral(
    interval: .seconds(2),
    packages: [
      PackageReferral(
        package: id, pieceCount: 300,
        leases: [Lease(run: Sample.run(4, 4), term: .seconds(5))], staysNear: true,
        crossings: [Lease(run: Sample.run(16, 2), term: .seconds(4))],
        sources: [
          Source(
            peer: other, endpoint: Endpoint(address: .v4(0xc000_0207), port: 6_881),
            heldPieceCount: 64, uploads: load, isNear: true)
        ],
        promises: [
          Promise(holder: other, run: Sample.run(8, 4), expected: .milliseconds(500))
        ],
        suspended: [PeerID(high: 0x3333_3333_3333_3333, low: 0x3333_3333_3333_3333)])
    ])

  @Test func theAnnounce() throws {
    let announce = Announce(
      peer: PeerID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10), port: 6_881,
      site: "rack", isLeaving: false, uploads: Self.load,
      reports: [
        PackageReport(
          package: Self.id, pieceCount: 300,
          holdings: .changes(gained: [Sample.run(0, 4)], evicted: []), wantedPieceCount: 8,
          isStarving: true, peerByteRate: 2_000_000,
          deliveries: [
            Delivery(source: .origin, byteCount: 262_144, duration: .milliseconds(50))
          ],
          complaints: [Complaint(source: Self.other, kind: .dead, piece: PieceIndex(7))])
      ])
    #expect(try bytes("announce") == announce.encode())
    #expect(try Announce.decode(try bytes("announce")) == announce)
  }

  @Test func theReferral() throws {
    #expect(try bytes("referral") == Self.referral.encode())
    let written = try JSONValue(String(decoding: Self.referral.json(), as: UTF8.self))
    #expect(try JSONValue(String(try example("json referral"))) == written)
  }

  @Test func theTreePart() throws {
    let query = try TreeQuery("layer=0&first=0&width=2")
    let slice = try #require(query.slice(of: TreeShape(leafCount: 5)))
    let message = TreeMessage(
      slice: slice, nodes: [Self.digest(0x11), Self.digest(0x22)],
      proof: [Self.digest(0x33), Self.digest(0x44)])
    #expect(try bytes("tree") == message.encode())
  }

  @Test func theHaveStream() throws {
    let frames: [HaveFrame] = [
      .bitmap(Sample.pieces(10, [0, 1, 9])), .gained([Sample.run(2, 2)]),
      .promised([Sample.run(5, 1)], within: .milliseconds(250)), .evicted([Sample.run(0, 1)]),
      .keepAlive,
    ]
    #expect(try bytes("have") == HaveFrame.preamble + frames.flatMap { $0.encode() })
  }

  @Test func theManifest() throws {
    let text = String(try example("json manifest"))
    let manifest = try Manifest.parse(Array(text.utf8))
    let written = try JSONValue(String(decoding: manifest.json(), as: UTF8.self))
    #expect(try JSONValue(text) == written)
  }

  @Test func theLimits() throws {
    let limits: [String: Int] = [
      "HeadLimits.startLineByteCountMax": HeadLimits.standard.startLineByteCountMax,
      "HeadLimits.fieldByteCountMax": HeadLimits.standard.fieldByteCountMax,
      "HeadLimits.fieldCountMax": HeadLimits.standard.fieldCountMax,
      "HeadLimits.headByteCountMax": HeadLimits.standard.headByteCountMax,
      "HeadLimits.leadingEmptyLineCountMax": HeadLimits.standard.leadingEmptyLineCountMax,
      "ChunkedDecoder.sizeDigitCountMax": ChunkedDecoder.sizeDigitCountMax,
      "ChunkedDecoder.extensionByteCountMax": ChunkedDecoder.extensionByteCountMax,
      "ChunkedDecoder.trailerByteCountMax": ChunkedDecoder.trailerByteCountMax,
      "RangeRequest.rangeCountMax": RangeRequest.rangeCountMax,
      "RangeRequest.specifierCountMax": RangeRequest.specifierCountMax,
      "QueryItem.countMax": QueryItem.countMax,
      "Announce.bodyByteCountMax": Announce.bodyByteCountMax,
      "Announce.reportCountMax": Announce.reportCountMax,
      "Announce.siteByteCountMax": Announce.siteByteCountMax,
      "PackageReport.deliveryCountMax": PackageReport.deliveryCountMax,
      "PackageReport.complaintCountMax": PackageReport.complaintCountMax,
      "Referral.byteCountMax": Referral.byteCountMax,
      "PackageReferral.leaseCountMax": PackageReferral.leaseCountMax,
      "PackageReferral.sourceCountMax": PackageReferral.sourceCountMax,
      "PackageReferral.promiseCountMax": PackageReferral.promiseCountMax,
      "PackageReferral.suspendedCountMax": PackageReferral.suspendedCountMax,
      "TreeSlice.nodeCountMax": TreeSlice.nodeCountMax,
      "HaveFrame.payloadByteCountMax": HaveFrame.payloadByteCountMax,
      "HaveField.runCountMax": HaveField.runCountMax,
      "Geometry.pieceCountMax": Geometry.pieceCountMax,
      "JSONValue.byteCountMax": JSONValue.byteCountMax,
      "JSONValue.depthMax": JSONValue.depthMax,
    ]
    var documented: [String: Int] = [:]
    for line in Self.page.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      if cells.count == 3, let value = Int(cells[1]) {
        documented[cells[0].trimmingCharacters(in: ["`"])] = value
      }
    }
    #expect(documented == limits)
  }
}
