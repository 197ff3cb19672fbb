internal import CDigestKernels
internal import Content

/// A package's MD5, SHA-256 and leaves as one computation that reads each byte once.
struct WovenChains: Sendable {
  private static let stepByteCount = 64

  /// Whether this processor can.
  static var run: Bool { dk_chains_run() }

  private var chains = dk_chains()
  /// Bytes that do not fill a step yet.
  private var rest: [UInt8] = []
  /// Bytes that the file's and the leaf's chains have taken, without `rest`.
  private var takenByteCount: UInt64 = 0
  private var leafByteCount = 0

  init() {
    rest.reserveCapacity(Self.stepByteCount)
    begin()
  }

  private mutating func begin() {
    rest.removeAll(keepingCapacity: true)
    takenByteCount = 0
    leafByteCount = 0
    dk_chains_begin(&chains)
    dk_chains_begin_leaf(&chains)
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer, pieces: inout PieceLayerBuilder) {
    var bytes = bytes[...]
    if !rest.isEmpty {
      let missing = bytes.prefix(Self.stepByteCount - rest.count)
      rest.append(contentsOf: missing)
      bytes = bytes.dropFirst(missing.count)
      guard rest.count == Self.stepByteCount else { return }
      let step = rest
      step.withUnsafeBytes { advance($0, pieces: &pieces) }
      rest.removeAll(keepingCapacity: true)
    }
    while bytes.count >= Self.stepByteCount {
      let room = min(bytes.count, Geometry.blockByteCount - leafByteCount)
      let steps = bytes.prefix(room / Self.stepByteCount * Self.stepByteCount)
      advance(UnsafeRawBufferPointer(rebasing: steps), pieces: &pieces)
      bytes = bytes.dropFirst(steps.count)
    }
    rest.append(contentsOf: bytes)
  }

  /// Takes whole steps that end in the current leaf or with it.
  private mutating func advance(
    _ bytes: UnsafeRawBufferPointer, pieces: inout PieceLayerBuilder
  ) {
    guard let start = bytes.baseAddress else { return }
    let stepCount = bytes.count / Self.stepByteCount
    dk_chains_advance(&chains, start.assumingMemoryBound(to: UInt8.self), stepCount)
    takenByteCount += UInt64(bytes.count)
    leafByteCount += bytes.count
    if leafByteCount == Geometry.blockByteCount { endLeaf(rest: [], pieces: &pieces) }
  }

  private mutating func endLeaf(rest: [UInt8], pieces: inout PieceLayerBuilder) {
    let count = UInt64(leafByteCount + rest.count)
    let leaf = withUnsafeTemporaryAllocation(
      of: UInt8.self, capacity: SHA256Digest.byteCount
    ) { digest in
      dk_chains_end_leaf(&chains, rest, count, digest.baseAddress)
      return SHA256Digest(UnsafeBufferPointer(digest).span)
    }
    pieces.append(leaf: leaf)
    leafByteCount = 0
    dk_chains_begin_leaf(&chains)
  }

  /// The digests of the file so far, whose last leaf goes to `pieces`; a new file begins.
  mutating func finish(pieces: inout PieceLayerBuilder) -> (SHA256Digest, MD5Digest) {
    if leafByteCount + rest.count > 0 { endLeaf(rest: rest, pieces: &pieces) }
    defer { begin() }
    let count = takenByteCount + UInt64(rest.count)
    return withUnsafeTemporaryAllocation(
      of: UInt8.self, capacity: SHA256Digest.byteCount + MD5Digest.byteCount
    ) { digests in
      let start = digests.baseAddress
      dk_chains_end(&chains, rest, count, start, start?.advanced(by: SHA256Digest.byteCount))
      let written = UnsafeBufferPointer(digests).span
      return (SHA256Digest(written), MD5Digest(written, at: SHA256Digest.byteCount))
    }
  }
}
