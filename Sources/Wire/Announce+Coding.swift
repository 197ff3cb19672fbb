package import Content

/// The body of `POST /-/announce`. `Docs/PROTOCOL.md` has the layout byte by byte.
extension Announce {
  /// A longer body is refused with 413.
  package static let bodyByteCountMax = 64 * 1024

  private static let isLeavingFlag: UInt8 = 1
  private static let speaksTLSFlag: UInt8 = 2

  /// Lists longer than their limits are cut, texts are too.
  package func encode() -> [UInt8] {
    var writer = MessageWriter(.announce)
    writer.byte((isLeaving ? Self.isLeavingFlag : 0) | (speaksTLS ? Self.speaksTLSFlag : 0))
    writer.peer(peer)
    writer.port(port)
    let site = SiteLabel.cut(site)
    writer.byte(UInt8(site.count))
    writer.append(site)
    uploads.write(to: &writer)
    let reports = reports.prefix(Self.reportCountMax)
    writer.number(reports.count)
    for report in reports { report.write(to: &writer) }
    return writer.bytes
  }

  package static func decode(_ bytes: Span<UInt8>) throws(WireError) -> Announce {
    guard bytes.count <= bodyByteCountMax else {
      throw WireError(.contentTooLarge, "an announce is at most 64 KiB")
    }
    var reader = try MessageReader(.announce, bytes, fault: .badRequest)
    let flags = try reader.flags(bytes, known: isLeavingFlag | speaksTLSFlag)
    let peer = try reader.peer(bytes)
    guard !peer.isOrigin else { throw reader.refusal("the origin does not announce") }
    let port = try reader.port(bytes)
    let site = try SiteLabel.read(&reader, bytes)
    let uploads = try UploadLoad(&reader, bytes)
    let count = try reader.count(
      bytes, max: reportCountMax, elementByteCountMin: PackageReport.encodedByteCountMin,
      "the report count")
    var reports: [PackageReport] = []
    reports.reserveCapacity(count)
    for _ in 0..<count { reports.append(try PackageReport(&reader, bytes)) }
    try reader.finish(bytes)
    return Announce(
      peer: peer, port: port, site: site, isLeaving: flags & isLeavingFlag != 0,
      speaksTLS: flags & speaksTLSFlag != 0, uploads: uploads, reports: reports)
  }
}

/// The operator's name for a group of machines: short UTF-8 without control characters.
private enum SiteLabel {
  static func cut(_ site: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for scalar in site.unicodeScalars where scalar.value >= 0x20 && scalar.value != 0x7f {
      let encoded = Array(String(scalar).utf8)
      guard bytes.count + encoded.count <= Announce.siteByteCountMax else { break }
      bytes += encoded
    }
    return bytes
  }

  static func read(_ reader: inout MessageReader, _ bytes: Span<UInt8>) throws(WireError) -> String
  {
    let count = Int(try reader.byte(bytes))
    guard count <= Announce.siteByteCountMax else { throw reader.refusal("the site is too long") }
    if count == 0 { return "" }
    let range = try reader.take(count, bytes)
    var text: [UInt8] = []
    for index in range {
      guard bytes[index] >= 0x20, bytes[index] != 0x7f else {
        throw reader.refusal("a control character in the site")
      }
      text.append(bytes[index])
    }
    guard let site = String(validating: text, as: UTF8.self) else {
      throw reader.refusal("the site is not UTF-8")
    }
    return site
  }
}

extension UploadLoad {
  func write(to writer: inout MessageWriter) {
    writer.number(active)
    writer.number(limit)
    writer.number(byteRate)
  }

  init(_ reader: inout MessageReader, _ bytes: Span<UInt8>) throws(WireError) {
    let active = try reader.number(bytes, in: 0...Self.countMax, "the uploads")
    let limit = try reader.number(bytes, in: 0...Self.countMax, "the upload limit")
    let byteRate = try reader.number(bytes, in: 0...Self.byteRateMax, "the upload rate")
    self.init(active: active, limit: limit, byteRate: byteRate)
  }

  /// Far above any machine, and far from overflow in sums and products.
  static let countMax = 1 << 20
  static let byteRateMax = 1 << 50
}

extension PackageReport {
  private static let isWholeFlag: UInt8 = 1
  private static let isStarvingFlag: UInt8 = 2
  private static let hasBitmapFlag: UInt8 = 4

  /// Id, piece count, flags, wanted, rate, no pieces, no deliveries, no complaints.
  static let encodedByteCountMin = 38

  func write(to writer: inout MessageWriter) {
    writer.digest(package.root)
    writer.number(pieceCount)
    var flags = isStarving ? Self.isStarvingFlag : 0
    var holding = MessageWriter()
    switch holdings {
    case .whole(let pieces):
      flags |= Self.isWholeFlag
      holding.runs(pieces.runs)
      // Whichever is shorter: scattered pieces make a long run list.
      let bitmap = pieces.bitmap
      if bitmap.count < holding.bytes.count {
        flags |= Self.hasBitmapFlag
        holding = MessageWriter()
        holding.append(bitmap)
      }
    case .changes(let gained, let evicted):
      holding.runs(gained)
      holding.runs(evicted)
    }
    writer.byte(flags)
    writer.number(min(wantedPieceCount, pieceCount))
    writer.number(min(peerByteRate, UploadLoad.byteRateMax))
    writer.append(holding.bytes)
    let deliveries = deliveries.prefix(Self.deliveryCountMax)
    writer.number(deliveries.count)
    for delivery in deliveries {
      writer.peer(delivery.source)
      writer.number(min(delivery.byteCount, Geometry.byteCountMax))
      writer.duration(delivery.duration)
    }
    let complaints = complaints.prefix(Self.complaintCountMax)
    writer.number(complaints.count)
    for complaint in complaints {
      writer.peer(complaint.source)
      writer.byte(complaint.kind.rawValue)
      writer.number(complaint.piece.rawValue)
    }
  }

  init(_ reader: inout MessageReader, _ bytes: Span<UInt8>) throws(WireError) {
    let id = PackageID(root: try reader.digest(bytes))
    let pieceCount = try reader.pieceCount(bytes)
    let flags = try reader.flags(
      bytes, known: Self.isWholeFlag | Self.isStarvingFlag | Self.hasBitmapFlag)
    let wanted = try reader.number(bytes, in: 0...pieceCount, "the wanted pieces")
    let peerByteRate = try reader.number(
      bytes, in: 0...UploadLoad.byteRateMax, "the rate of the peers")
    let holdings = try Self.readHoldings(&reader, bytes, flags, pieceCount)
    let deliveries = try Self.readDeliveries(&reader, bytes)
    let complaints = try Self.readComplaints(&reader, bytes, pieceCount)
    self.init(
      package: id, pieceCount: pieceCount, holdings: holdings, wantedPieceCount: wanted,
      isStarving: flags & Self.isStarvingFlag != 0, peerByteRate: peerByteRate,
      deliveries: deliveries, complaints: complaints)
  }

  private static func readHoldings(
    _ reader: inout MessageReader, _ bytes: Span<UInt8>, _ flags: UInt8, _ pieceCount: Int
  ) throws(WireError) -> Holdings {
    if flags & hasBitmapFlag != 0 {
      let range = try reader.take((pieceCount + 7) / 8, bytes)
      guard flags & isWholeFlag != 0,
        let pieces = PieceSet(bitmap: bytes.extracting(range), pieceCount: pieceCount)
      else { throw reader.refusal("a bitmap that does not fit its package") }
      return .whole(pieces)
    }
    if flags & isWholeFlag != 0 {
      var pieces = PieceSet(pieceCount: pieceCount)
      for run in try reader.runs(bytes, pieceCount: pieceCount) { pieces.insert(run) }
      return .whole(pieces)
    }
    let gained = try reader.runs(bytes, pieceCount: pieceCount)
    return .changes(gained: gained, evicted: try reader.runs(bytes, pieceCount: pieceCount))
  }

  private static func readDeliveries(
    _ reader: inout MessageReader, _ bytes: Span<UInt8>
  ) throws(WireError) -> [Delivery] {
    let count = try reader.count(
      bytes, max: deliveryCountMax, elementByteCountMin: 18, "the delivery count")
    var deliveries: [Delivery] = []
    deliveries.reserveCapacity(count)
    for _ in 0..<count {
      let source = try reader.peer(bytes)
      let byteCount = try reader.number(bytes, in: 0...Geometry.byteCountMax, "a delivery")
      deliveries.append(
        Delivery(source: source, byteCount: byteCount, duration: try reader.duration(bytes)))
    }
    return deliveries
  }

  private static func readComplaints(
    _ reader: inout MessageReader, _ bytes: Span<UInt8>, _ pieceCount: Int
  ) throws(WireError) -> [Complaint] {
    let count = try reader.count(
      bytes, max: complaintCountMax, elementByteCountMin: 18, "the complaint count")
    var complaints: [Complaint] = []
    complaints.reserveCapacity(count)
    for _ in 0..<count {
      let source = try reader.peer(bytes)
      guard let kind = Complaint.Kind(rawValue: try reader.byte(bytes)) else {
        throw reader.refusal("a complaint of an unknown kind")
      }
      let piece = try reader.number(bytes)
      guard piece < pieceCount else { throw reader.refusal("a complaint outside the package") }
      complaints.append(Complaint(source: source, kind: kind, piece: PieceIndex(piece)))
    }
    return complaints
  }
}
