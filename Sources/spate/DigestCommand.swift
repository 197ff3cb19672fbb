import ArgumentParser
import Content
import Digests
import Operations
import Posix

struct DigestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "digest",
    abstract: "Print the package id, SHA-256 and MD5 of files.",
    discussion: "The id is the root of BitTorrent v2's tree over the file's 16 KiB blocks.")

  @Argument(help: "The files.", completion: .file())
  var files: [String]

  @Flag(help: "Say how fast it went.")
  var verbose = false

  func run() throws {
    var failed = false
    for path in files {
      do throws(SystemError) {
        let start = Clock.now()
        guard let digests = try digest(path) else {
          StandardStream.error.write("spate: \(path) is too large for a package\n")
          failed = true
          continue
        }
        StandardStream.output.write(
          "\(path)\n  id      \(digests.id)\n  sha256  \(digests.sha256)\n"
            + "  md5     \(digests.md5)\n")
        if verbose {
          let rate = Double(digests.geometry.byteCount) / max((Clock.now() - start).seconds, 1e-9)
          StandardStream.output.write(
            "  speed   \(Quantities.rounded(rate / 1e9, places: 2)) GB/s\n")
        }
      } catch {
        StandardStream.error.write("spate: \(path): \(error)\n")
        failed = true
      }
    }
    if failed { throw ExitStatus.failed.error }
  }

  private func digest(_ path: String) throws(SystemError) -> PackageDigests? {
    let file = try OpenFile(path: path)
    var hasher = PackageHasher()
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { window.deallocate() }
    var offset = 0
    while true {
      let count = try file.read(into: window, at: offset)
      guard count > 0 else { return hasher.finish() }
      hasher.update(UnsafeRawBufferPointer(rebasing: window[..<count]))
      offset += count
    }
  }
}
