import Posix
import Wire

/// Where a download's file goes, and the directory beside it that has its pieces until it is whole.
struct OutputName {
  let path: String
  let workDirectory: String

  init(path: String, workDirectory: String) {
    self.path = path
    self.workDirectory = workDirectory
  }

  /// - Throws: `PeerError` when there is no name to write to, or no directory to hold it.
  init(_ configuration: GetConfiguration) throws(PeerError) {
    var path = configuration.output ?? ""
    let status: FileStatus?
    do throws(SystemError) {
      status = path.isEmpty ? nil : try FileSystem.statusIfPresent(of: path)
    } catch {
      throw PeerError("\(path): \(error)")
    }
    if path.isEmpty || path.hasSuffix("/") || status?.kind == .directory {
      guard let name = configuration.url.fileName else {
        throw PeerError("\(configuration.url) names no file; say where to write with -o FILE")
      }
      path = path.isEmpty || path.hasSuffix("/") ? path + name : "\(path)/\(name)"
    }
    let slash = path.lastIndex(of: "/")
    let directory = slash.map { String(path[...$0]) } ?? ""
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    let parent = directory.isEmpty ? "." : directory
    let parentStatus: FileStatus?
    do throws(SystemError) {
      parentStatus = try FileSystem.statusIfPresent(of: parent)
    } catch {
      throw PeerError("\(parent): \(error)")
    }
    guard parentStatus?.kind == .directory else {
      throw PeerError("\(parent): there is no such directory to write \(name) to")
    }
    self.path = path
    workDirectory = "\(directory).\(name).spate"
  }
}
