import Foundation
import Testing

extension EndToEnd {
  /// Programs of others download from the origin and from a gateway.
  @Suite struct ClientProgramTests {
    static let byteCount = 8 << 20
    let folder: Folder
    let origin: Origin
    let expected: String

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      try folder.writeSample("root/file.bin", byteCount: Self.byteCount, seed: 3)
      expected = try sha256(folder["root/file.bin"], in: folder)
      origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.bin")
    }

    private func download(by client: ClientProgram, _ url: String) throws {
      let arguments = client.arguments(url: url, file: folder["copy"])
      let result = try run(client.rawValue, arguments, in: folder)
      #expect(result.exit == .code(0), "\(result.output)\(result.errorOutput)")
      #expect(try sha256(folder["copy"], in: folder) == expected)
    }

    /// A program that is not installed is not tested with; the first of them always is.
    @Test func someClientIsThere() { #expect(ClientProgram.installed.contains(.curl)) }

    @Test(arguments: ClientProgram.installed) func fromTheOrigin(_ client: ClientProgram) throws {
      try download(by: client, origin.url("/file.bin"))
    }

    @Test func fromAGateway() throws {
      let peer = try Peer(
        of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      for client in ClientProgram.installed { try download(by: client, peer.url("/file.bin")) }
      #expect(try origin.sentContentByteCount < Self.byteCount * 11 / 10)
    }

    @Test func twoAtOnceThroughAGatewayCostOneCopy() throws {
      let peer = try Peer(
        of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      let downloads = try (0..<2).map {
        try RunningProgram(
          "curl", ["-sSf", "-o", folder["copy\($0)"], peer.url("/file.bin")], in: folder)
      }
      for (index, download) in downloads.enumerated() {
        #expect(try download.wait() == .code(0), "\(download.errorOutput)")
        #expect(try sha256(folder["copy\(index)"], in: folder) == expected)
      }
      let sent = try origin.sentContentByteCount
      #expect(sent >= Self.byteCount)
      #expect(sent < Self.byteCount * 11 / 10)
    }
  }
}

/// A program of others that downloads a URL to a file.
enum ClientProgram: String, CaseIterable, Sendable {
  case curl, wget, aria2c, python3

  static let installed = allCases.filter { isInstalled($0.rawValue) }

  func arguments(url: String, file: String) -> [String] {
    switch self {
    case .curl: return ["-sSf", "-o", file, url]
    case .wget: return ["-q", "-O", file, url]
    case .aria2c:
      let place = URL(filePath: file)
      return [
        "-q", "-x4", "-s4", "-k1M", "--file-allocation=none", "--no-conf",
        "--allow-overwrite=true", "-d", place.deletingLastPathComponent().path,
        "-o", place.lastPathComponent, url,
      ]
    case .python3:
      let script = """
        import sys, shutil, urllib.request
        with urllib.request.urlopen(sys.argv[1]) as answer, open(sys.argv[2], 'wb') as file:
            shutil.copyfileobj(answer, file)
        """
      return ["-c", script, url, file]
    }
  }
}

/// There is such a program along PATH.
func isInstalled(_ program: String) -> Bool {
  let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
  return folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
}
