import Foundation
import Glibc
import Testing

extension EndToEnd {
  /// `spate get` from servers that are not Spate.
  @Suite struct PlainServerTests {
    static let byteCount = 8 << 20

    let folder: Folder
    let expected: String

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 10)
      expected = try sha256(folder["root/file.bin"], in: folder)
    }

    /// Python's own file server, without ranges.
    private func startPythonServer() throws -> (RunningProgram, port: UInt16) {
      let script = """
        import functools, http.server, sys
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """
      let program = try RunningProgram("python3", ["-c", script, folder["root"]], in: folder)
      var port: UInt16?
      try eventually("the file server listens: \(program.errorOutput)") {
        guard program.output.hasSuffix("\n") else { return false }
        port = UInt16(program.output.dropLast())
        return true
      }
      return (program, try #require(port))
    }

    @Test(.enabled(if: isInstalled("python3"))) func downloadsPlainly() throws {
      let (server, port) = try startPythonServer()
      let download = try Download("http://127.0.0.1:\(port)/file.bin", to: "copy", in: folder)
      let report = try download.finish()
      #expect(report.sha256 == expected)
      #expect(report.bytes == Self.byteCount)
      #expect(try sha256(download.path, in: folder) == expected)
      #expect(download.program.errorOutput.contains("not a Spate origin"))
      let missing = try Download("http://127.0.0.1:\(port)/missing", to: "nothing", in: folder)
      #expect(try missing.program.wait() == .code(1))
      #expect(missing.program.errorOutput.contains("404"))
      #expect(!FileManager.default.fileExists(atPath: folder["nothing"]))
      withExtendedLifetime(server) {}
    }

    @Test func resumesWhereTheServerHasRanges() throws {
      let server = try RangeServer(serving: folder.bytes(of: "root/file.bin"))
      defer { server.close() }
      let relay = try Relay(to: server.port, allowance: Self.byteCount / 2)
      defer { relay.close() }
      let first = try Download(
        "http://127.0.0.1:\(relay.port)/file.bin", to: "copy", in: folder)
      // The relay's allowance includes the heads.
      try eventually("half of the file is on disk") {
        try storedByteCount(".copy.spate") >= Self.byteCount / 2 - 4_096
      }
      first.program.send(SIGINT)
      #expect(try first.program.wait() == .code(130))
      let second = try Download("http://127.0.0.1:\(server.port)/file.bin", to: "copy", in: folder)
        .finish()
      #expect(second.sha256 == expected)
      #expect(try sha256(second.path, in: folder) == expected)
      #expect(second.from_origin <= Self.byteCount / 2 + 4_096)
      #expect(server.partCount == 1)
    }

    /// Size of the largest file in a directory that is perhaps not there yet: beside what came lie
    /// small ones that say what it is.
    private func storedByteCount(_ directory: String) throws -> Int {
      let manager = FileManager.default
      let names = (try? manager.contentsOfDirectory(atPath: folder[directory])) ?? []
      return try names.reduce(0) { most, name in
        let attributes = try manager.attributesOfItem(atPath: folder["\(directory)/\(name)"])
        let isFile = attributes[.type] as? FileAttributeType == .typeRegular
        return max(most, isFile ? attributes[.size] as? Int ?? 0 : 0)
      }
    }
  }
}
