import Content
import Foundation
import Testing

@testable import Wire

@Suite struct JSONTests {
  static let manifest: Manifest? = {
    guard let geometry = Geometry(byteCount: 1_234_567),
      let md5 = MD5Digest(hex: String(repeating: "5a", count: 16))
    else { return nil }
    return Manifest(
      name: "größe \"1\"\\.bin", id: Sample.id, geometry: geometry, sha256: Sample.digest(1),
      md5: md5, publisher: "host.example", path: "/a/gr%C3%B6%C3%9Fe", modified: -5)
  }()

  @Test func manifestsComeBack() throws {
    let manifest = try #require(Self.manifest)
    #expect(try Manifest.parse(manifest.json()) == manifest)
    // Another reader agrees that this is JSON.
    let object = try JSONSerialization.jsonObject(with: Data(manifest.json()))
    #expect((object as? [String: Any])?["name"] as? String == manifest.name)
  }

  @Test func manifestsThatAreNone() throws {
    let manifest = try #require(Self.manifest)
    let text = String(decoding: manifest.json(), as: UTF8.self)
    #expect(
      try Manifest.parse(Array(text.dropLast().utf8) + Array(",\"more\":[1]}".utf8)) == manifest)
    for (old, new) in [
      ("\"size\":1234567", "\"size\":-1"), ("\"size\":1234567", "\"size\":1.5"),
      ("\"size\":1234567", "\"size\":\"1234567\""),
      ("\"size\":1234567", "\"size\":1152921504606846977"),
      ("\"piece_length\":65536", "\"piece_length\":65537"), ("\"id\":\"", "\"id\":\"0"),
      ("\"md5\":\"5a", "\"md5\":\"zz"), ("\"sha256\":", "\"sha257\":"),
      ("\"publisher\":\"host", "\"publisher\":\"\\u0000"), ("\"name\":\"gr", "\"name\":\"a/"),
      ("\"modified\":-5", "\"modified\":null"),
      ("\"modified\":-5", "\"modified\":-5,\"name\":\"x\""),
    ] {
      #expect(text.contains(old))
      let changed = text.replacing(old, with: new, maxReplacements: 1)
      #expect(throws: WireError.self, "\(new)") { try Manifest.parse(Array(changed.utf8)) }
    }
  }

  @Test(arguments: [
    ("null", JSONValue.null), (" true ", .bool(true)), ("false", .bool(false)),
    ("0", .integer(0)), ("-0", .integer(0)), ("-12", .integer(-12)),
    ("9223372036854775807", .integer(.max)), ("1.5", .number(1.5)), ("1e3", .number(1_000)),
    ("-1.25E-2", .number(-0.0125)), ("\"\"", .string("")),
    ("\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", .string("a\n\t\"\\/\u{8}\u{c}\r")),
    ("\"\\u00e4\\uD83D\\uDE00\"", .string("ä😀")), ("\"ä\"", .string("ä")), ("[]", .array([])),
    ("[1, [2]]", .array([.integer(1), .array([.integer(2)])])), ("{}", .object([:])),
    ("{\"a\" : {\"b\":1} }", .object(["a": .object(["b": .integer(1)])])),
  ])
  func documents(_ text: String, _ expected: JSONValue) throws {
    #expect(try JSONValue(text) == expected)
  }

  @Test(arguments: [
    "", " ", "nul", "tru", "True", "+1", "01", "1.", ".5", "1e", "1e+", "-", "1e999", "0x1", "NaN",
    "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
    "\"\u{1}\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"", "{\"a\":", "{\"a\":1",
    "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "1 2",
    "[]]",
    "// x", "'a'",
  ])
  func documentsThatAreNone(_ text: String) {
    #expect(throws: WireError.self) { try JSONValue(text) }
  }

  @Test func limits() throws {
    let nested = { (depth: Int) in
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(throws: Never.self) { try JSONValue(nested(JSONValue.depthMax)) }
    #expect(throws: WireError.self) { try JSONValue(nested(JSONValue.depthMax + 1)) }
    #expect(throws: WireError.self) { try JSONValue(nested(30_000)) }
    let blanks = String(repeating: " ", count: JSONValue.byteCountMax)
    #expect(throws: WireError.self) { try JSONValue(blanks + "1") }
    #expect(throws: Never.self) { try JSONValue(blanks.dropFirst() + "1") }
    let bytes: [UInt8] = [0x22, 0xff, 0x22]
    #expect(throws: WireError.self) { try JSONValue(bytes.span) }
  }

  @Test func whatIsWrittenIsRead() throws {
    var json = JSONWriter()
    json.object { json in
      json.member("text", "a\"\\\n\r\t\u{0}\u{1f}\u{7f}/ä")
      json.member("least", Int.min)
      json.member("half", 0.5)
      json.member("small", 1e-9)
      json.member("endless", Double.infinity)
      json.member("yes", true)
      json.array("list") { json in
        json.value(1)
        json.array { _ in }
        json.object { _ in }
        json.null()
      }
      json.object("nested") { $0.member("x", "y") }
    }
    let value = try JSONValue(json.text)
    #expect(
      value
        == .object([
          "text": .string("a\"\\\n\r\t\u{0}\u{1f}\u{7f}/ä"), "least": .integer(.min),
          "half": .number(0.5), "small": .number(1e-9), "endless": .null, "yes": .bool(true),
          "list": .array([.integer(1), .array([]), .object([:]), .null]),
          "nested": .object(["x": .string("y")]),
        ]))
    #expect(value["nested"]?["x"]?.string == "y" && value["none"] == nil)
  }

  @Test func referralsForPeople() throws {
    let value = try JSONValue(String(decoding: Sample.referral.json(), as: UTF8.self))
    #expect(value["interval_seconds"] == .number(2.5))
    guard case .array(let packages) = value["packages"] else {
      Issue.record("no packages")
      return
    }
    #expect(packages.count == 2 && packages[0]["id"]?.string == Sample.id.hex)
    guard case .array(let sources) = packages[0]["sources"] else {
      Issue.record("no sources")
      return
    }
    #expect(sources.map { $0["endpoint"]?.string } == ["127.0.0.1:8080", "[fe80::1]:1"])
    #expect(sources[0]["is_origin"] == .bool(true))
  }
}
