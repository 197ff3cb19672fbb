import Content
import Foundation
import Glibc
import Posix
import Testing

@Suite struct DirectoryTests {
  @Test func nothingOutsideTheRootOpens() throws {
    let directory = try TemporaryDirectory()
    try FileSystem.makeDirectory(directory.path + "/served/sub/deep")
    try directory.write("secret", "outside")
    try directory.write("served/inside", "inside")
    try directory.write("served/sub/file", "in sub")
    for (link, target) in [
      ("out", "../secret"), ("absolute", directory.path + "/secret"), ("in", "sub/file"),
      ("dir", "sub"), ("loop", "loop"), ("proc", "/proc/self/cwd"),
      ("sub/up", "../inside"),
    ] {
      #expect(symlink(target, directory.path + "/served/" + link) == 0)
    }
    let root = try DirectoryRoot(path: directory.path + "/served")
    for name in ["inside", "sub/file", "in", "dir/file", "sub/up", "sub/../inside", "./inside"] {
      #expect(try root.open(name).status().kind == .regular, "\(name)")
    }
    #expect(try root.open("sub").status().kind == .directory)
    for name in [
      "out", "absolute", "../secret", "sub/../../secret", "/etc/passwd", "proc", "loop",
    ] {
      let error = #expect(throws: SystemError.self, "\(name)") { try root.open(name) }
      #expect(error?.isOutsideRoot == true, "\(name)")
    }
    for name in ["none", "", "inside/more", "inside\0", "\0"] {
      let error = #expect(throws: SystemError.self, "\(name)") { try root.open(name) }
      #expect(error?.isNotFound == true, "\(name)")
    }
  }

  @Test func listingDoesNotFollowLinks() throws {
    let directory = try TemporaryDirectory()
    try FileSystem.makeDirectory(directory.path + "/sub")
    try directory.write("a", "")
    try directory.write("sub/b", "")
    #expect(symlink("sub", directory.path + "/link") == 0)
    #expect(mkfifo(directory.path + "/pipe", 0o600) == 0)
    let root = try DirectoryRoot(path: directory.path)
    let kinds = Dictionary(
      uniqueKeysWithValues: try root.list("").map { ($0.name, $0.kind) })
    #expect(kinds == ["a": .regular, "sub": .directory, "link": .symbolicLink, "pipe": .other])
    #expect(try root.list("sub").map(\.name) == ["b"])
    #expect(throws: SystemError.self) { try root.list("link") }
    #expect(throws: SystemError.self) { try root.list("..") }
    #expect(throws: SystemError.self) { try root.list("a") }
    // A pipe without a writer does not hold the opener.
    #expect(try root.open("pipe").status().kind == .other)
    #expect(try FileSystem.list(directory.path).count == 4)
  }

  @Test func namesMoveAndGo() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path
    try FileSystem.makeDirectory(path + "/x/y/z")
    try FileSystem.makeDirectory(path + "/x/y/z")
    #expect(try FileSystem.status(of: path + "/x/y").permissions == 0o700)
    try directory.write("a", "a")
    try directory.write("b", "bb")
    #expect(throws: SystemError.self) { try FileSystem.makeDirectory(path + "/a") }
    try FileSystem.rename(path + "/a", to: path + "/b")
    #expect(try FileSystem.status(of: path + "/b").byteCount == 1)
    try FileSystem.rename(path + "/b", to: path + "/c")
    try FileSystem.synchronizeDirectory(path)
    try FileSystem.remove(path + "/c")
    try FileSystem.remove(path + "/c")
    #expect(try FileSystem.statusIfPresent(of: path + "/c") == nil)
    try FileSystem.removeEmptyDirectory(path + "/x/y/z")
    #expect(throws: SystemError.self) { try FileSystem.removeEmptyDirectory(path + "/x") }
    #expect(try FileSystem.canonicalPath(path + "/x/../x") == path + "/x")
  }
}
