import Foundation
import Testing
import Transport

extension TLSServer {
  /// With a certificate of its own, made by the `openssl` command.
  static func forTests() throws -> TLSServer {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "spate-identity-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer {
      do {
        try FileManager.default.removeItem(at: directory)
      } catch {
        Issue.record(error)
      }
    }
    let identity = TLSServer.Identity(
      certificatePath: directory.appending(path: "certificate").path,
      keyPath: directory.appending(path: "key").path)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
      "-nodes", "-subj", "/CN=localhost", "-keyout", identity.keyPath, "-out",
      identity.certificatePath,
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    return try TLSServer([identity])
  }
}
