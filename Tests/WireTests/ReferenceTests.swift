import Testing
import Wire

@Suite struct ReferenceTests {
  /// Those of RFC 3986 section 5.4 that an http URL can have.
  @Test(arguments: [
    ("g", "/b/c/g"), ("./g", "/b/c/g"), ("g/", "/b/c/g/"), ("/g", "/g"), ("?y", "/b/c/d;p?y"),
    ("g?y", "/b/c/g?y"), ("#s", "/b/c/d;p?q"), ("g#s", "/b/c/g"), (";x", "/b/c/;x"),
    ("", "/b/c/d;p?q"),
    (".", "/b/c/"), ("./", "/b/c/"), ("..", "/b/"), ("../", "/b/"), ("../g", "/b/g"),
    ("../..", "/"), ("../../g", "/g"), ("../../../g", "/g"), ("/./g", "/g"), ("/../g", "/g"),
    ("g.", "/b/c/g."), ("..g", "/b/c/..g"), ("./../g", "/b/g"), ("g/./h", "/b/c/g/h"),
    ("g?y/../x", "/b/c/g?y/../x"),
  ])
  func referencesStayOnTheHost(_ reference: String, _ target: String) throws {
    let base = try HTTPURL(parsing: "https://a:8443/b/c/d;p?q")
    let resolved = try base.resolving(reference)
    #expect(resolved.target == target)
    #expect(resolved.authority == "a:8443")
    #expect(resolved.isSecure)
  }

  @Test func othersNameTheirHost() throws {
    let base = try HTTPURL(parsing: "https://a/b")
    #expect(try base.resolving("//c:81/d").description == "https://c:81/d")
    #expect(try base.resolving("http://c/d?e").description == "http://c/d?e")
    #expect(throws: HTTPURLError.self) { try base.resolving("ftp://c/d") }
    #expect(throws: HTTPURLError.self) { try base.resolving("javascript:1") }
    #expect(throws: HTTPURLError.self) { try base.resolving("a b") }
    #expect(throws: HTTPURLError.self) { try base.resolving("//") }
  }
}
