import Posix
import Wire

/// A directory's names as a page for a browser. Names are whatever somebody put there: each is
/// escaped for where it stands.
enum DirectoryPage {
  /// - Parameter path: of the directory under the root, empty for the root.
  static func html(of path: String, _ entries: [DirectoryEntry]) -> [UInt8] {
    let title = escaped("/" + path)
    var page = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>\(title)</title></head>"
    page += "\n<body><h1>\(title)</h1>\n<ul>\n"
    if !path.isEmpty { page += "<li><a href=\"../\">../</a></li>\n" }
    for entry in sorted(entries) {
      let slash = entry.kind == .directory ? "/" : ""
      let link = PercentEncoding.encode(path: entry.name) + slash
      // A name with a colon would be read as a scheme.
      page += "<li><a href=\"./\(link)\">\(escaped(entry.name))\(slash)</a></li>\n"
    }
    page += "</ul></body></html>\n"
    return Array(page.utf8)
  }

  /// Directories first, then by name.
  private static func sorted(_ entries: [DirectoryEntry]) -> [DirectoryEntry] {
    entries.filter { $0.kind != .other }.sorted {
      let isFirst = ($0.kind == .directory, $1.kind == .directory)
      return isFirst.0 == isFirst.1 ? $0.name < $1.name : isFirst.0
    }
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
