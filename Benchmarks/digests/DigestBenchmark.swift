import Content
import Digests

/// The digest kernels against OpenSSL, one message at a time, on one core.
@main struct DigestBenchmark {
  private static let kibibyte = 1 << 10
  private static let mebibyte = 1 << 20
  private static let blockByteCount = Geometry.blockByteCount
  private let contest = Contest(byteCount: 64 * Self.mebibyte)

  static func main() { DigestBenchmark().run() }

  private func run() {
    Contest.printHeading()
    let kernels = DigestKernel.allCases.filter { $0 != .portable }.reversed()
    for kernel in kernels where kernel.runs(.sha256) {
      for window in [64 * Self.kibibyte, 256 * Self.kibibyte, Self.mebibyte] {
        tree(kernel, window: window)
      }
    }
    for kernel in kernels where kernel.runs(.md5) {
      for window in [64 * Self.kibibyte, 256 * Self.kibibyte, Self.mebibyte] {
        md5(kernel, message: Self.blockByteCount, window: window)
      }
    }
    for kernel in kernels where kernel.runs(.sha1) {
      for window in [64 * Self.kibibyte, 256 * Self.kibibyte, Self.mebibyte] {
        sha1(kernel, message: Self.blockByteCount, window: window)
      }
    }
    for (message, window) in [
      (Self.kibibyte, 256 * Self.kibibyte), (64 * Self.kibibyte, 4 * Self.mebibyte),
    ] {
      md5(.best, message: message, window: window)
      sha1(.best, message: message, window: window)
    }
    package()
  }

  private func title(
    _ function: String, _ kernel: DigestKernel, _ message: Int, _ window: Int
  ) -> String {
    "\(function), \(message / Self.kibibyte) KiB of \(window / Self.kibibyte) KiB, \(kernel)"
  }

  /// What a worker does with the bytes it gets.
  private func tree(_ kernel: DigestKernel, window: Int) {
    contest.compare(title("SHA-256 leaves", kernel, Self.blockByteCount, window)) {
      contest.overWindows(window) { TreeHash.leaves(of: $0, kernel: kernel).count }
    } openSSL: {
      var stream = SHA256Stream()
      return contest.overWindows(Self.blockByteCount) { block in
        stream.update(block)
        return Int(truncatingIfNeeded: stream.finish().words.0)
      }
    }
  }

  private func md5(_ kernel: DigestKernel, message: Int, window: Int) {
    contest.compare(title("MD5", kernel, message, window)) {
      contest.overWindows(window) { window in
        LaneDigester.md5(of: Contest.parts(of: window, message), kernel: kernel).count
      }
    } openSSL: {
      var stream = MD5Stream()
      return contest.overWindows(message) { message in
        stream.update(message)
        return stream.finish().hex.utf8.count
      }
    }
  }

  private func sha1(_ kernel: DigestKernel, message: Int, window: Int) {
    contest.compare(title("SHA-1", kernel, message, window)) {
      contest.overWindows(window) { window in
        LaneDigester.sha1(of: Contest.parts(of: window, message), kernel: kernel).count
      }
    } openSSL: {
      var stream = SHA1Stream()
      return contest.overWindows(message) { message in
        stream.update(message)
        return stream.finish().hex.utf8.count
      }
    }
  }

  /// All that a manifest needs, against OpenSSL's three passes over each MiB while it is in the
  /// cache.
  private func package() {
    contest.compare("package: MD5, SHA-256 and tree in one pass") {
      var hasher = PackageHasher()
      let mixed = contest.overWindows(Self.mebibyte) { window in
        hasher.update(window)
        return 0
      }
      return mixed ^ (hasher.finish()?.pieceLayer.count ?? 0)
    } openSSL: {
      var md5 = MD5Stream()
      var sha256 = SHA256Stream()
      var leaf = SHA256Stream()
      let mixed = contest.overWindows(Self.mebibyte) { window in
        md5.update(window)
        sha256.update(window)
        return Contest.parts(of: window, Self.blockByteCount).reduce(0) { mixed, block in
          leaf.update(block)
          return mixed ^ Int(truncatingIfNeeded: leaf.finish().words.0)
        }
      }
      let words = sha256.finish().words
      return mixed ^ Int(truncatingIfNeeded: words.0) ^ md5.finish().bytes.count
    }
  }
}
