import Foundation

/// The project's own text, read from the checkout this test was compiled in.
struct SourceTree {
  struct File {
    let path: String
    let lines: [String]

    /// The module a file under `Sources` or `Tests` belongs to.
    var module: String { String(path.split(separator: "/")[1]) }
  }

  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func files(under folders: [String], suffixes: [String]) -> [File] {
    folders.flatMap { folder in
      let base = root.appending(path: folder)
      let names = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String }
      return (names ?? []).sorted()
        .filter { name in suffixes.contains { name.hasSuffix($0) } }
        .compactMap { (name: String) -> File? in
          guard
            let text = try? String(contentsOf: base.appending(path: name), encoding: .utf8)
          else { return nil }
          return File(
            path: "\(folder)/\(name)", lines: text.components(separatedBy: "\n"))
        }
    }
  }

  static let sources = files(under: ["Sources"], suffixes: [".swift"])
  static let tests = files(under: ["Tests"], suffixes: [".swift"])
  static let kernels = files(under: ["CModules"], suffixes: [".c", ".h"])
}
