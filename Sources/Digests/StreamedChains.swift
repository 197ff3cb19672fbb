internal import Content

/// The same as `WovenChains` where the processor lacks what that needs: window after window, each
/// hashed three times while it is in the cache.
struct StreamedChains: ~Copyable, Sendable {
  /// Small enough for the second-level cache, and as many blocks as the widest kernel has lanes.
  private static let windowByteCount = 32 * Geometry.blockByteCount

  private let kernel: DigestKernel
  private var sha256 = SHA256Stream()
  private var md5 = MD5Stream()
  /// The beginning of a block whose end has not come yet.
  private var partialBlock: [UInt8] = []

  init(kernel: DigestKernel) {
    self.kernel = kernel
    partialBlock.reserveCapacity(Geometry.blockByteCount)
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer, pieces: inout PieceLayerBuilder) {
    var bytes = bytes[...]
    while !bytes.isEmpty {
      let window = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.windowByteCount))
      sha256.update(window)
      md5.update(window)
      updateLeaves(window, pieces: &pieces)
      bytes = bytes.dropFirst(window.count)
    }
  }

  private mutating func updateLeaves(
    _ bytes: UnsafeRawBufferPointer, pieces: inout PieceLayerBuilder
  ) {
    var bytes = bytes[...]
    if !partialBlock.isEmpty {
      let missing = bytes.prefix(Geometry.blockByteCount - partialBlock.count)
      partialBlock.append(contentsOf: missing)
      bytes = bytes.dropFirst(missing.count)
      guard partialBlock.count == Geometry.blockByteCount else { return }
      endPartialBlock(pieces: &pieces)
    }
    let whole = bytes.prefix(bytes.count / Geometry.blockByteCount * Geometry.blockByteCount)
    for leaf in TreeHash.leaves(of: UnsafeRawBufferPointer(rebasing: whole), kernel: kernel) {
      pieces.append(leaf: leaf)
    }
    partialBlock.append(contentsOf: bytes.dropFirst(whole.count))
  }

  private mutating func endPartialBlock(pieces: inout PieceLayerBuilder) {
    let leaves = partialBlock.withUnsafeBytes { TreeHash.leaves(of: $0, kernel: kernel) }
    for leaf in leaves { pieces.append(leaf: leaf) }
    partialBlock.removeAll(keepingCapacity: true)
  }

  /// The digests of the file so far, whose last leaf goes to `pieces`; a new file begins.
  mutating func finish(pieces: inout PieceLayerBuilder) -> (SHA256Digest, MD5Digest) {
    if !partialBlock.isEmpty { endPartialBlock(pieces: &pieces) }
    return (sha256.finish(), md5.finish())
  }
}
