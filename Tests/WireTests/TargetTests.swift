import Content
import Testing

@testable import Wire

@Suite struct TargetTests {
  @Test(arguments: [
    ("/", "", true), ("", "", true), ("/a", "a", false), ("/a/b.bin", "a/b.bin", false),
    ("/a/", "a", true), ("//a///b", "a/b", false), ("/./a/./b", "a/b", false), ("/.", "", false),
    ("/a%20b", "a b", false), ("/%C3%A4", "ä", false), ("/%c3%a4", "ä", false), ("/ä", "ä", false),
    ("/a+b", "a+b", false), ("/...", "...", false), ("/..a", "..a", false), ("/a..", "a..", false),
    ("/%2e", "", false), ("/%41", "A", false), ("/%25", "%", false),
    ("/%252e%252e", "%2e%2e", false),
    ("/a;b=c", "a;b=c", false), ("/.hidden", ".hidden", false), ("/-/x", "-/x", false),
  ])
  func names(_ path: String, _ expected: String, _ namesDirectory: Bool) throws {
    let target = try RequestTarget(path: path)
    #expect(target.relativePath == expected)
    #expect(target.namesDirectory == namesDirectory)
  }

  @Test(arguments: [
    "/..", "/../a", "/a/..", "/a/../b", "/%2e%2e", "/%2E.", "/.%2e/a", "/a/%2e%2e/b", "/a%2fb",
    "/a%2Fb", "/..%2f", "/a\\b", "/..\\a", "/%5c", "/%5C..", "/%00", "/a%00.bin", "/%0a", "/%0d%0a",
    "/%7f", "/%1f", "/%", "/%4", "/%4g", "/%zz", "/%%41", "/%ff", "/%c3", "/%c3%28", "/%c0%ae",
    "/%e0%80%af", "/%ed%a0%80", "a", "a/b",
  ])
  func namesThatAreNone(_ path: String) {
    #expect(throws: WireError.self) { try RequestTarget(path: path) }
  }

  @Test func namesComeBack() throws {
    let name = "a b/ä/100%/x?y#z;+&\"'"
    #expect(try RequestTarget(path: "/" + PercentEncoding.encode(path: name)).relativePath == name)
  }

  @Test func queries() throws {
    let items = try QueryItem.parse("a=1&b&&c=%20+x&=y&a=2=3")
    #expect(items.map(\.name) == ["a", "b", "c", "", "a"])
    #expect(items.map(\.value) == ["1", "", "  x", "y", "2=3"])
    #expect(throws: WireError.self) { try QueryItem.parse("a=%") }
    #expect(throws: WireError.self) { try QueryItem.parse("a=%ff") }
    let many = Array(repeating: "a", count: QueryItem.countMax).joined(separator: "&")
    #expect(try QueryItem.parse(many).count == QueryItem.countMax)
    #expect(throws: WireError.self) { try QueryItem.parse(many + "&a") }
  }

  @Test(arguments: [
    ("http://a", "http://a/"), ("HTTP://A/", "http://a/"), ("https://a:443/x", "https://a/x"),
    ("http://a:8080/x?y=1#z", "http://a:8080/x?y=1"), ("http://a?y", "http://a/?y"),
    ("http://a#z", "http://a/"), ("http://a:443/", "http://a:443/"),
    ("http://[::1]:80/", "http://[::1]/"), ("http://[FE80::1]/a", "http://[fe80::1]/a"),
    ("http://127.0.0.1:1/%2F%20", "http://127.0.0.1:1/%2F%20"),
    ("http://a/ä|b", "http://a/%C3%A4%7Cb"), ("http://a_b-c.d~/x", "http://a_b-c.d~/x"),
    ("http://a/b@c:d", "http://a/b@c:d"),
  ])
  func urls(_ text: String, _ expected: String) throws {
    #expect(try HTTPURL(parsing: text).description == expected)
  }

  @Test(arguments: [
    ("", HTTPURLError.noScheme), ("a/b", .noScheme), ("/a", .noScheme), ("://a", .noScheme),
    ("ftp://a/", .unsupportedScheme("ftp")), ("file:///a", .unsupportedScheme("file")),
    ("http://u@a/", .userInformation), ("http://u:p@a/", .userInformation), ("http:///a", .noHost),
    ("http://", .noHost), ("http://:80/", .noHost), ("http://a b/", .controlCharacter),
    ("http://a/\n", .controlCharacter), ("http://a%20b/", .malformedHost("a%20b")),
    ("http://ä/", .malformedHost("ä")), ("http://[::1/", .malformedHost("[::1")),
    ("http://[::g]/", .malformedHost("[::g]")), ("http://[1.2.3.4]/", .malformedHost("[1.2.3.4]")),
    ("http://[::1]x/", .malformedHost("[::1]x")), ("http://a:/", .malformedPort("")),
    ("http://a:0/", .malformedPort("0")), ("http://a:65536/", .malformedPort("65536")),
    ("http://a:+1/", .malformedPort("+1")), ("http://a:1:2/", .malformedPort("1:2")),
    ("http://a/%", .malformedEscape), ("http://a/%4x", .malformedEscape),
  ])
  func urlsThatAreNone(_ text: String, _ expected: HTTPURLError) {
    #expect(throws: expected) { try HTTPURL(parsing: text) }
    #expect(!expected.description.isEmpty)
  }

  @Test func partsOfAURL() throws {
    let url = try HTTPURL(parsing: "https://[::1]:8443/a/gr%C3%B6%C3%9Fe.bin?x=1")
    #expect(url.address == .v6(0, 1) && url.port == 8_443 && url.isSecure)
    #expect(url.authority == "[::1]:8443" && url.host == "::1")
    #expect(url.path == "/a/gr%C3%B6%C3%9Fe.bin" && url.fileName == "größe.bin")
    #expect(try HTTPURL(parsing: "http://a/b/").fileName == nil)
    #expect(try HTTPURL(parsing: "http://a").fileName == nil)
    #expect(try HTTPURL(parsing: "http://a/..").fileName == nil)
  }

  @Test(arguments: [
    ("a.txt", "text/plain; charset=utf-8"), ("a.TXT", "text/plain; charset=utf-8"),
    ("x/y.tar.gz", "application/gzip"), ("a.iso", "application/x-iso9660-image"),
    ("a.html", "text/html; charset=utf-8"), ("a.json", "application/json"),
    ("a", ContentType.unknown),
    (".txt", ContentType.unknown), ("a.", ContentType.unknown), ("a.unknown", ContentType.unknown),
    ("b.txt/a", ContentType.unknown), ("", ContentType.unknown),
    ("a.averyveryverylongextension", ContentType.unknown),
  ])
  func contentTypes(_ name: String, _ expected: String) {
    #expect(ContentType.of(name) == expected)
  }

  @Test func everyExtensionIsThereOnce() {
    let all = ContentType.table.flatMap { $0.extensions.split(separator: " ") }
    #expect(all.count >= 120 && Set(all).count == all.count)
  }
}

@Suite struct WriterTests {
  @Test func aResponse() throws {
    var bytes: [UInt8] = []
    HeadWriter.startResponse(.partialContent, to: &bytes)
    HeadWriter.field(.date, HTTPDate.format(0), to: &bytes)
    HeadWriter.contentRange(ByteRange(offset: 10, count: 5), of: 100, to: &bytes)
    HeadWriter.contentRange(nil, of: 0, to: &bytes)
    HeadWriter.field(.contentLength, 5, to: &bytes)
    HeadWriter.field(.contentType, "a\r\nX: b\u{0}ä", to: &bytes)
    HeadWriter.end(to: &bytes)
    #expect(
      String(decoding: bytes, as: UTF8.self)
        == "HTTP/1.1 206 Partial Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        + "Content-Range: bytes 10-14/100\r\nContent-Range: bytes */0\r\nContent-Length: 5\r\n"
        + "Content-Type: a  X: b ä\r\n\r\n")
  }

  @Test func everyStatusLineIsReadBack() throws {
    for code in UInt16(100)...599 {
      var bytes: [UInt8] = []
      HeadWriter.startResponse(Status(code), to: &bytes)
      let line = String(decoding: bytes, as: UTF8.self)
      #expect(line == "HTTP/1.1 \(code) \(Status(code).phrase)\r\n")
      HeadWriter.end(to: &bytes)
      #expect(try ResponseHead(bytes.span).status.code == code)
    }
  }

  @Test func aRequestIsReadBack() throws {
    for method in Method.allCases {
      var bytes: [UInt8] = []
      HeadWriter.startRequest(method, target: "/a b\r\nX: ä", authority: "h:1", to: &bytes)
      let range = try #require(ByteRange(offset: 0, count: 1))
      HeadWriter.range(range, to: &bytes)
      HeadWriter.end(to: &bytes)
      let head = try RequestHead(bytes.span)
      #expect(head.method == method)
      #expect(String(decoding: bytes[head.path], as: UTF8.self) == "/a%20b%0D%0AX:%20%C3%A4")
      #expect(head.value(of: .range, in: bytes) == "bytes=0-0")
      #expect(head.value(of: .host, in: bytes) == "h:1")
    }
  }

  @Test(arguments: [0, 1, 9, 10, 11, 99, 100, 12_345, -1, -10, .max, .min])
  func integers(_ value: Int) {
    var bytes: [UInt8] = []
    HeadWriter.append(value, to: &bytes)
    #expect(String(decoding: bytes, as: UTF8.self) == String(value))
  }

  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ])
  func base64(_ text: String, _ expected: String) {
    #expect(Base64.encode(Array(text.utf8)) == expected)
  }

  @Test func digestFields() {
    let text = String(repeating: "A", count: 43) + "="
    #expect(DigestField.reprDigest(.zero) == "sha-256=:\(text):")
    #expect(DigestField.digest(.zero) == "SHA-256=\(text)")
  }
}
