package import Content

/// The answer to an announce, and `GET /-/referral/ID`. `Docs/PROTOCOL.md` has the layout.
extension Referral {
  /// A client reads no longer one.
  package static let byteCountMax = 1 << 20
  package static let packageCountMax = Announce.reportCountMax

  /// Lists longer than their limits are cut.
  package func encode() -> [UInt8] {
    var bytes: [UInt8] = []
    encode(into: &bytes)
    return bytes
  }

  /// Writes the message in place of what `bytes` holds, whose room is used again.
  package func encode(into bytes: inout [UInt8]) {
    var writer = MessageWriter(.referral, reusing: &bytes)
    writer.duration(interval)
    let packages = packages.span.extracting(first: Self.packageCountMax)
    writer.number(packages.count)
    for index in packages.indices { packages[index].write(to: &writer) }
    bytes = writer.take()
  }

  package static func decode(_ bytes: Span<UInt8>) throws(WireError) -> Referral {
    guard bytes.count <= byteCountMax else {
      throw WireError(.badGateway, "a referral is at most 1 MiB")
    }
    var reader = try MessageReader(.referral, bytes, fault: .badGateway)
    let interval = try reader.duration(bytes)
    let count = try reader.count(
      bytes, max: packageCountMax, elementByteCountMin: PackageReferral.encodedByteCountMin,
      "the package count")
    var packages: [PackageReferral] = []
    packages.reserveCapacity(count)
    for _ in 0..<count { packages.append(try PackageReferral(&reader, bytes)) }
    try reader.finish(bytes)
    return Referral(interval: interval, packages: packages)
  }
}

extension PackageReferral {
  private static let wantsWholeFlag: UInt8 = 1
  private static let staysNearFlag: UInt8 = 2

  /// Id, piece count, flags and four empty lists.
  static let encodedByteCountMin = 38

  func write(to writer: inout MessageWriter) {
    writer.digest(package.root)
    writer.number(pieceCount)
    writer.byte(
      (wantsWhole ? Self.wantsWholeFlag : 0) | (staysNear ? Self.staysNearFlag : 0))
    Self.write(leases, to: &writer)
    Self.write(crossings, to: &writer)
    let sources = sources.span.extracting(first: Self.sourceCountMax)
    writer.number(sources.count)
    for index in sources.indices { sources[index].write(to: &writer) }
    let promises = promises.span.extracting(first: Self.promiseCountMax)
    writer.number(promises.count)
    for index in promises.indices {
      writer.peer(promises[index].holder)
      writer.run(promises[index].run)
      writer.duration(promises[index].expected)
    }
    let suspended = suspended.span.extracting(first: Self.suspendedCountMax)
    writer.number(suspended.count)
    for index in suspended.indices { writer.peer(suspended[index]) }
  }

  private static func write(_ leases: [Lease], to writer: inout MessageWriter) {
    let leases = leases.span.extracting(first: leaseCountMax)
    writer.number(leases.count)
    for index in leases.indices {
      writer.run(leases[index].run)
      writer.duration(leases[index].term)
    }
  }

  init(_ reader: inout MessageReader, _ bytes: Span<UInt8>) throws(WireError) {
    let id = PackageID(root: try reader.digest(bytes))
    let pieceCount = try reader.pieceCount(bytes)
    let flags = try reader.flags(bytes, known: Self.wantsWholeFlag | Self.staysNearFlag)
    let leases = try Self.readLeases(&reader, bytes, pieceCount)
    let crossings = try Self.readLeases(&reader, bytes, pieceCount)
    let sourceCount = try reader.count(
      bytes, max: Self.sourceCountMax, elementByteCountMin: Source.encodedByteCountMin,
      "the source count")
    var sources: [Source] = []
    sources.reserveCapacity(sourceCount)
    for _ in 0..<sourceCount {
      sources.append(try Source(&reader, bytes, pieceCount: pieceCount))
    }
    let promises = try Self.readPromises(&reader, bytes, pieceCount)
    let suspendedCount = try reader.count(
      bytes, max: Self.suspendedCountMax, elementByteCountMin: 16, "the suspended count")
    var suspended: [PeerID] = []
    suspended.reserveCapacity(suspendedCount)
    for _ in 0..<suspendedCount { suspended.append(try reader.peer(bytes)) }
    self.init(
      package: id, pieceCount: pieceCount, wantsWhole: flags & Self.wantsWholeFlag != 0,
      leases: leases, staysNear: flags & Self.staysNearFlag != 0, crossings: crossings,
      sources: sources, promises: promises, suspended: suspended)
  }

  private static func readLeases(
    _ reader: inout MessageReader, _ bytes: Span<UInt8>, _ pieceCount: Int
  ) throws(WireError) -> [Lease] {
    let count = try reader.count(
      bytes, max: leaseCountMax, elementByteCountMin: 3, "the lease count")
    var leases: [Lease] = []
    leases.reserveCapacity(count)
    for _ in 0..<count {
      let run = try reader.run(bytes, pieceCount: pieceCount)
      leases.append(Lease(run: run, term: try reader.duration(bytes)))
    }
    return leases
  }

  private static func readPromises(
    _ reader: inout MessageReader, _ bytes: Span<UInt8>, _ pieceCount: Int
  ) throws(WireError) -> [Promise] {
    let count = try reader.count(
      bytes, max: promiseCountMax, elementByteCountMin: 19, "the promise count")
    var promises: [Promise] = []
    promises.reserveCapacity(count)
    for _ in 0..<count {
      let holder = try reader.peer(bytes)
      let run = try reader.run(bytes, pieceCount: pieceCount)
      promises.append(Promise(holder: holder, run: run, expected: try reader.duration(bytes)))
    }
    return promises
  }
}

extension Source {
  private static let isNearFlag: UInt8 = 1
  private static let isVersion6Flag: UInt8 = 2
  private static let speaksTLSFlag: UInt8 = 4

  /// Peer, flags, a version 4 address, port, pieces held, and three numbers of load.
  static let encodedByteCountMin = 27

  func write(to writer: inout MessageWriter) {
    writer.peer(peer)
    let flags = (isNear ? Self.isNearFlag : 0) | (speaksTLS ? Self.speaksTLSFlag : 0)
    switch endpoint.address {
    case .v4(let word):
      writer.byte(flags)
      writer.halfWord(word)
    case .v6(let high, let low):
      writer.byte(flags | Self.isVersion6Flag)
      writer.word(high)
      writer.word(low)
    }
    writer.port(endpoint.port)
    writer.number(heldPieceCount)
    uploads.write(to: &writer)
  }

  init(_ reader: inout MessageReader, _ bytes: Span<UInt8>, pieceCount: Int) throws(WireError) {
    let peer = try reader.peer(bytes)
    let flags = try reader.flags(
      bytes, known: Self.isNearFlag | Self.isVersion6Flag | Self.speaksTLSFlag)
    let address: IPAddress
    if flags & Self.isVersion6Flag != 0 {
      let high = try reader.word(bytes)
      address = .v6(high, try reader.word(bytes))
    } else {
      var word: UInt32 = 0
      for _ in 0..<4 { word = word << 8 | UInt32(try reader.byte(bytes)) }
      address = .v4(word)
    }
    let port = try reader.port(bytes)
    let held = try reader.number(bytes, in: 0...pieceCount, "the pieces held")
    self.init(
      peer: peer, endpoint: Endpoint(address: address, port: port), heldPieceCount: held,
      uploads: try UploadLoad(&reader, bytes), isNear: flags & Self.isNearFlag != 0,
      speaksTLS: flags & Self.speaksTLSFlag != 0)
  }
}
