import Content
import Foundation
import Glibc
import Posix
import Testing

/// A directory of its own for one test.
final class TemporaryDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/spate-test-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
  }
}

@Suite struct FileTests {
  @Test func writesReadsAndForgets() throws {
    let directory = try TemporaryDirectory()
    let file = try OpenFile(path: directory.path + "/file", .createNew)
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try bytes.withUnsafeBytes { try file.write($0, at: 10) }
    try file.synchronize()
    var back = [UInt8](repeating: 1, count: 100_020)
    let count = try back.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
    #expect(count == 100_010)
    #expect(Array(back[..<10]) == Array(repeating: 0, count: 10))
    #expect(Array(back[10..<100_010]) == bytes)
    let status = try file.status()
    #expect(status.byteCount == 100_010)
    #expect(status.kind == .regular)
    #expect(status.permissions == 0o600)
    #expect(abs(status.modified - Clock.wallNanoseconds()) < 60_000_000_000)
    #expect(try FileSystem.status(of: directory.path + "/file") == status)

    try file.punchHole(try #require(ByteRange(offset: 0, count: 65_536)))
    let middle = try back.withUnsafeMutableBytes { try file.read(into: $0, at: 60_000) }
    #expect(middle == 40_010)
    #expect(back[..<5_536].allSatisfy { $0 == 0 })
    #expect(Array(back[5_536..<40_010]) == Array(bytes[65_526...]))
    try file.truncate(to: 5)
    #expect(try file.status().byteCount == 5)
    #expect(throws: SystemError.self) {
      try OpenFile(path: directory.path + "/file", .createNew)
    }
  }

  @Test func shortReadsAndWritesAreMadeWhole() throws {
    let directory = try TemporaryDirectory()
    let file = try OpenFile(path: directory.path + "/file", .createOrOpen)
    let bytes = Array("a line of text".utf8)
    var back = [UInt8](repeating: 0, count: bytes.count)
    try SystemCalls.withFaults([
      .init("pwrite", .limit(1), times: 5), .init("pread", .limit(2), times: 3),
      .init("pread", .failure(EINTR)),
    ]) {
      try bytes.withUnsafeBytes { try file.write($0, at: 0) }
      let count = try back.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
      #expect(count == bytes.count)
    }
    #expect(back == bytes)
  }

  @Test func errorsCarryTheirCall() throws {
    let directory = try TemporaryDirectory()
    let error = #expect(throws: SystemError.self) {
      try OpenFile(path: directory.path + "/nothing")
    }
    #expect(error?.isNotFound == true)
    #expect(error?.description == "open: No such file or directory")
    let file = try OpenFile(path: directory.path + "/file", .createNew)
    let failure = SystemCalls.withFaults([.init("fdatasync", .failure(EIO))]) {
      #expect(throws: SystemError.self) { try file.synchronize() }
    }
    #expect(failure == SystemError(code: EIO, call: "fdatasync"))
    let full = SystemCalls.withFaults([.init("pwrite", .failure(ENOSPC))]) {
      #expect(throws: SystemError.self) { try [1].withUnsafeBytes { try file.write($0, at: 0) } }
    }
    #expect(full?.isOutOfSpace == true)
  }

  @Test func residentBytesAreReadWithoutWaiting() throws {
    let directory = try TemporaryDirectory()
    try directory.write("file", "some text")
    let file = try OpenFile(path: directory.path + "/file")
    var buffer = [UInt8](repeating: 0, count: 4)
    let count = buffer.withUnsafeMutableBytes { file.readResident(into: $0, at: 5) }
    // A file system that cannot tell says nil.
    #expect(count == nil || (count == 4 && buffer == Array("text".utf8)))
    let cold = SystemCalls.withFaults([.init("preadv2", .failure(EAGAIN), times: 2)]) {
      buffer.withUnsafeMutableBytes { file.readResident(into: $0, at: 0) }
    }
    #expect(cold == nil)
  }

  @Test func copiesWithAndWithoutTheKernelsHelp() throws {
    let directory = try TemporaryDirectory()
    try directory.write("from", String(repeating: "0123456789", count: 50_000))
    let source = try OpenFile(path: directory.path + "/from")
    for faults in [[], [SystemCalls.Fault("copy_file_range", .failure(EXDEV))]] {
      let target = try OpenFile(path: directory.path + "/to\(faults.count)", .createNew)
      try SystemCalls.withFaults(faults) {
        try FileSystem.copy(from: source, at: 5, to: target, at: 3, byteCount: 400_000)
      }
      var back = [UInt8](repeating: 0, count: 400_100)
      let count = try back.withUnsafeMutableBytes { try target.read(into: $0, at: 0) }
      #expect(count == 400_003)
      #expect(
        Array(back[3..<400_003]) == Array(String(repeating: "5678901234", count: 40_000).utf8))
      #expect(throws: SystemError.self) {
        try FileSystem.copy(from: source, at: 499_999, to: target, at: 0, byteCount: 2)
      }
    }
  }

  @Test func onlyOneHoldsTheLock() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/lock"
    var first: OpenFile? = try OpenFile(path: path, .createOrOpen)
    let second = try OpenFile(path: path, .createOrOpen)
    #expect(try first?.lockExclusively() == true)
    #expect(try !second.lockExclusively())
    first = nil
    #expect(try second.lockExclusively())
  }
}
