import Foundation
import Glibc
import Testing

extension EndToEnd {
  @Suite struct OriginServingTests {
    let folder: Folder

    init() throws {
      folder = try Folder()
      try folder.directory("root/sub dir")
    }

    @Test func namesOfAllKinds() throws {
      let names = [
        "plain.txt": "/plain.txt", "with space.txt": "/with%20space.txt",
        "größe-日本.bin": "/gr%C3%B6%C3%9Fe-%E6%97%A5%E6%9C%AC.bin",
        "a+b&c=d;e,f.txt": "/a+b&c=d;e,f.txt", "100%.txt": "/100%25.txt",
        "question?.txt": "/question%3F.txt", "hash#.txt": "/hash%23.txt",
        "sub dir/inner.txt": "/sub%20dir/inner.txt", "-": "/-", ".hidden": "/.hidden",
      ]
      for name in names.keys { try folder.write(Array(name.utf8), to: "root/\(name)") }
      let origin = try Origin(folder["root"], in: folder)
      for (name, path) in names {
        #expect(try origin.ask(path).text == name, "\(path)")
        let itself = try origin.manifest(path)["path"] as? String
        #expect(itself?.removingPercentEncoding == "/" + name, "\(path)")
        #expect(itself?.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } == true, "\(path)")
        let report = try Download(origin.url(path), to: "copy", in: folder).finish()
        #expect(try folder.bytes(of: "copy") == Array(name.utf8), "\(path)")
        #expect(report.bytes == name.utf8.count)
      }
      #expect(try origin.ask("/plain.txt?query=1").text == "plain.txt")
      // The name of a download without -o is the file's own.
      let there = try folder.directory("there")
      let result = try Spate.run(
        ["get", origin.url("/with%20space.txt")], in: folder, directory: there)
      #expect(result.exit == .code(0), "\(result.errorOutput)")
      #expect(try folder.bytes(of: "there/with space.txt") == Array("with space.txt".utf8))
    }

    @Test func anEmptyFile() throws {
      try folder.write([], to: "root/empty")
      let origin = try Origin(folder["root"], in: folder)
      let answer = try origin.ask("/empty")
      #expect(answer.status == 200)
      #expect(answer["content-length"] == "0")
      let manifest = try origin.manifest("/empty")
      #expect(manifest["id"] as? String == packageID(of: []))
      let report = try Download(origin.url("/empty"), to: "copy", in: folder).finish()
      #expect(report.bytes == 0)
      #expect(
        report.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
      #expect(try folder.bytes(of: "copy").isEmpty)
      let peer = try Peer(of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      let through = try peer.fetch("/empty")
      #expect(through.status == 200)
      #expect(through.body.isEmpty)
    }

    @Test func theEndOfAFileLargerThanFourGiB() throws {
      let size = (5 << 30) + 12_345
      let end = sampleBytes(1_000, seed: 15)
      let handle = open(folder["root/sparse.bin"], O_WRONLY | O_CREAT, 0o600)
      #expect(pwrite(handle, end, end.count, size - end.count) == end.count)
      close(handle)
      let origin = try Origin(folder["root"], in: folder)
      let result = try run(
        "curl",
        ["-sSf", "-r", "-1000", "-D", folder["head"], "-o", folder["end"]]
          + [origin.url("/sparse.bin")], in: folder)
      #expect(result.exit == .code(0), "\(result.errorOutput)")
      #expect(try folder.bytes(of: "end") == end)
      let head = String(decoding: try folder.bytes(of: "head"), as: UTF8.self)
      #expect(head.contains("Content-Range: bytes \(size - 1_000)-\(size - 1)/\(size)"))
      let middle = try origin.ask(
        "/sparse.bin", ["Range: bytes=\(size - 1_005)-\(size - 991)"])
      #expect(middle.body == [0, 0, 0, 0, 0] + end[..<10])
      #expect(try origin.ask("/sparse.bin", method: "HEAD")["content-length"] == "\(size)")
      #expect(try origin.ask("/sparse.bin", ["Range: bytes=\(size)-"]).status == 416)
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
      for index in 0..<20 { try folder.write(Array("\(index)".utf8), to: "root/\(index)") }
      let origin = try Origin(folder["root"], in: folder)
      let connection = try Connection(port: origin.port)
      let requests = (0..<20).map { index in
        "\(index % 3 == 1 ? "HEAD" : "GET") /\(index) HTTP/1.1\r\nHost: a\r\n\r\n"
      }
      connection.send(
        requests.joined() + "GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      for index in 0..<20 {
        let response = try connection.receive(isHead: index % 3 == 1)
        #expect(response.status == 200)
        #expect(response["content-length"] == "\("\(index)".utf8.count)")
        #expect(response.text == (index % 3 == 1 ? "" : "\(index)"))
      }
      #expect(try connection.receive().status == 404)
      #expect(connection.ends())
    }

    @Test func version6() throws {
      try folder.write(Array("six".utf8), to: "root/file.txt")
      let origin = try Origin(folder["root"], listen: "[::1]:0", in: folder)
      let connection = try Connection(port: origin.port, version6: true)
      connection.send("GET /file.txt HTTP/1.1\r\nHost: [::1]:\(origin.port)\r\n\r\n")
      #expect(try connection.receive().text == "six")
      let report = try Download(
        "http://[::1]:\(origin.port)/file.txt", to: "copy", in: folder
      ).finish()
      #expect(report.bytes == 3)
      // Both versions on one port, when nobody names an address.
      let everywhere = try Origin(folder["root"], state: "other", listen: "0", in: folder)
      #expect(try everywhere.ask("/file.txt").text == "six")
      let second = try Connection(port: everywhere.port, version6: true)
      second.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try second.receive().text == "six")
    }

    @Test func contentTypesAndMethods() throws {
      let types = [
        "a.txt": "text/plain", "a.html": "text/html", "a.json": "application/json",
        "a.gz": "application/gzip", "a.png": "image/png", "a.unknown": "application/octet-stream",
        "a": "application/octet-stream",
      ]
      for name in types.keys { try folder.write([1], to: "root/\(name)") }
      let origin = try Origin(folder["root"], in: folder)
      for (name, type) in types {
        let head = try origin.ask("/\(name)", method: "HEAD")
        #expect(head["content-type"]?.hasPrefix(type) == true, "\(name)")
        #expect(head["content-length"] == "1")
      }
      let refusal = try origin.ask("/a.txt", method: "DELETE")
      #expect(refusal.status == 405)
      #expect(refusal["allow"]?.contains("GET") == true)
      let options = try origin.ask("/a.txt", method: "OPTIONS")
      #expect(options.status / 100 == 2)
      #expect(options["allow"]?.contains("HEAD") == true)
    }

    @Test func directories() throws {
      try folder.write([1], to: "root/<b>&.txt")
      try folder.write([1], to: "root/sub dir/inner.txt")
      let silent = try Origin(folder["root"], in: folder)
      #expect(try silent.ask("/").status == 404)
      #expect(try silent.ask("/sub%20dir/").status == 404)
      #expect(try silent.terminate() == .code(0))
      let origin = try Origin(folder["root"], ["--list-directories"], in: folder)
      let list = try origin.ask("/")
      #expect(list.status == 200)
      #expect(list["content-type"]?.hasPrefix("text/html") == true)
      #expect(list.text.contains("&lt;b&gt;&amp;.txt"))
      #expect(!list.text.contains("<b>&"))
      #expect(list.text.contains("sub%20dir/"))
      let redirect = try origin.ask("/sub%20dir")
      #expect(redirect.status == 301)
      #expect(redirect["location"]?.hasSuffix("/sub%20dir/") == true)
      #expect(try origin.ask("/sub%20dir/").text.contains("inner.txt"))
    }
  }
}
