import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// What needs a file system or a user of its own.
  @Suite struct ScarcityTests {
    let folder: Folder

    init() throws { folder = try Folder() }

    /// A small file system in memory, which only root can mount.
    final class SmallDisk {
      static let isPossible =
        geteuid() == 0
        && (try? Folder()).flatMap { folder in
          guard let disk = try? SmallDisk("1m", at: "disk", in: folder) else { return nil }
          return withExtendedLifetime(disk) { true }
        } == true

      private let path: String

      init(_ size: String, at name: String, in folder: Folder) throws {
        path = try folder.directory(name)
        let result = try run(
          "mount", ["-t", "tmpfs", "-o", "size=\(size)", "tmpfs", path], in: folder)
        guard result.exit == .code(0) else { throw Failure(result.errorOutput) }
      }

      deinit { umount2(path, Int32(MNT_DETACH)) }
    }

    @Test(.enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
    func aFullDiskIsSaidAndNothingIsLost() throws {
      try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: 8 << 20, seed: 12)
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
      let disk = try SmallDisk("4m", at: "disk", in: folder)
      let failed = try Download(origin.url("/file.bin"), to: "disk/copy", in: folder)
      #expect(try failed.program.wait() == .code(1))
      let lines = failed.program.errorOutput.split(separator: "\n")
      #expect(lines.last?.hasPrefix("spate: ") == true, "\(lines)")
      #expect(lines.last?.lowercased().contains("space") == true, "\(lines)")
      #expect(!FileManager.default.fileExists(atPath: failed.path))
      withExtendedLifetime(disk) {}
    }

    @Test(.enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
    func aGatewayOnAFullDiskSurvives() throws {
      try folder.directory("root")
      try folder.writeSample("root/large.bin", byteCount: 8 << 20, seed: 13)
      try folder.writeSample("root/small.bin", byteCount: 1 << 20, seed: 14)
      let origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/large.bin")
      try origin.manifest("/small.bin")
      let disk = try SmallDisk("4m", at: "disk", in: folder)
      let peer = try Peer(of: "http://127.0.0.1:\(origin.port)", cache: "disk/cache", in: folder)
      for name in ["large.bin", "small.bin"] {
        // All of it, or an answer that is seen to be cut short: never a wrong byte.
        let connection = try Connection(port: peer.gatewayPort)
        connection.send("GET /\(name) HTTP/1.1\r\nHost: a\r\n\r\n")
        if let answer = try? connection.receive(), answer.status == 200 {
          #expect(try answer.body == folder.bytes(of: "root/\(name)"))
        }
        #expect(try peer.ask("/-/health").status == 200)
      }
      #expect(peer.program.errorOutput.contains("the disk is full"))
      // It may not be able to write its index any more, and says so.
      let exit = try peer.terminate()
      #expect(exit == .code(0) || exit == .code(1), "\(peer.program.errorOutput)")
      withExtendedLifetime(disk) {}
    }

    /// Runs a program as a user who may do nothing.
    static let nobody: [String]? = {
      if geteuid() != 0 { return [] }
      let wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
      guard let folder = try? Folder(),
        let result = try? run(
          "setpriv", wrapper.dropFirst() + [Spate.path, "--version"], in: folder),
        result.exit == .code(0)
      else { return nil }
      return wrapper
    }()

    @Test(.enabled(if: nobody != nil, "root reads everything, and nobody cannot run the program"))
    func anUnreadableFileIsForbiddenAndTheRestServed() throws {
      try folder.directory("root")
      let state = try folder.directory("state")
      try folder.write(Array("open".utf8), to: "root/open.txt")
      try folder.write(Array("closed".utf8), to: "root/closed.txt")
      chmod(folder.path, 0o755)
      chmod(state, 0o777)
      chmod(folder["root/closed.txt"], 0)
      let origin = try Origin(
        folder["root"], wrapper: try #require(Self.nobody), in: folder)
      #expect(try origin.ask("/open.txt").text == "open")
      #expect(try origin.ask("/closed.txt").status == 403)
      try origin.manifest("/open.txt")
      let refusal = try origin.ask("/-/manifest/closed.txt").status
      #expect(refusal == 403)
      let result = try Spate.run(["get", origin.url("/closed.txt"), "-o", "copy"], in: folder)
      #expect(result.exit == .code(1))
      #expect(result.errorOutput.contains("403"))
      try eventually("the log names it") { origin.program.errorOutput.contains("closed.txt") }
    }
  }
}
