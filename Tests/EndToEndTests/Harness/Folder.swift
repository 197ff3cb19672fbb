import Foundation
import Glibc

/// A directory of one test, gone with it.
final class Folder {
  let path: String

  init() throws {
    var template = Array(
      (FileManager.default.temporaryDirectory.path + "/spate-test-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure("cannot make a temporary directory") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// The path of something in the folder.
  subscript(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func directory(_ name: String) throws -> String {
    try FileManager.default.createDirectory(
      atPath: self[name], withIntermediateDirectories: true)
    return self[name]
  }

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(filePath: self[name]))
  }

  /// Bytes that no compression and no mistake makes equal, the same for the same seed.
  @discardableResult
  func writeSample(_ name: String, byteCount: Int, seed: UInt64 = 1) throws -> [UInt8] {
    let bytes = sampleBytes(byteCount, seed: seed)
    try write(bytes, to: name)
    return bytes
  }

  func bytes(of name: String) throws -> [UInt8] {
    try readBytes(self[name])
  }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

func readBytes(_ path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(filePath: path)))
}

func sampleBytes(_ byteCount: Int, seed: UInt64) -> [UInt8] {
  var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
  return [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
    for index in 0..<byteCount {
      if index & 7 == 0 {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
      }
      buffer[index] = UInt8(truncatingIfNeeded: state >> UInt64(8 * (index & 7)))
    }
    count = byteCount
  }
}

/// Looks until `condition` holds. A test that has to wait longer than `seconds` has failed.
func eventually(
  within seconds: Double = 60, _ what: String, _ condition: () throws -> Bool
) throws {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while try !condition() {
    guard ContinuousClock.now < deadline else { throw Failure("waited in vain: \(what)") }
    usleep(10_000)
  }
}
