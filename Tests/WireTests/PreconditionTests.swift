import Testing

@testable import Wire

@Suite struct PreconditionTests {
  private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"
  private static let before = "Sun, 06 Nov 1994 08:49:36 GMT"
  private static let after = "Sun, 06 Nov 1994 08:49:38 GMT"
  private static let modified = 784_111_777

  private func head(_ method: String, _ fields: [String]) throws -> (RequestHead, [UInt8]) {
    let bytes = Array(
      ("\(method) / HTTP/1.1\r\nHost: a\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    return (try RequestHead(bytes.span), bytes)
  }

  @Test(arguments: [
    ("GET", [], "200"),
    ("GET", ["If-Match: *"], "200"), ("GET", ["If-Match: \"t\""], "200"),
    ("GET", ["If-Match: \"x\""], "412"), ("GET", ["If-Match: \"x\", \"t\""], "200"),
    ("GET", ["If-Match: \"x\"", "If-Match: \"t\""], "200"), ("GET", ["If-Match: W/\"t\""], "412"),
    ("GET", ["If-Match: t"], "412"), ("GET", ["If-Match:"], "412"),
    ("POST", ["If-Match: \"x\""], "412"), ("HEAD", ["If-Match: \"x\""], "412"),
    ("OPTIONS", ["If-Match: \"x\""], "200"),
    ("GET", ["If-None-Match: *"], "304"), ("GET", ["If-None-Match: \"t\""], "304"),
    ("HEAD", ["If-None-Match: \"t\""], "304"), ("POST", ["If-None-Match: \"t\""], "412"),
    ("GET", ["If-None-Match: W/\"t\""], "304"), ("GET", ["If-None-Match: \"x\""], "200"),
    ("GET", ["If-None-Match: \"x\",\"y\" ,W/\"t\""], "304"),
    ("GET", ["If-None-Match: \"x\"", "If-None-Match: \"t\""], "304"),
    ("GET", ["If-None-Match: \"a,b\", \"t\""], "304"), ("GET", ["If-None-Match: t"], "200"),
    ("GET", ["If-None-Match: \"t"], "200"), ("GET", ["If-None-Match: \"T\""], "200"),
    ("GET", ["If-None-Match: w/\"t\""], "200"), ("TRACE", ["If-None-Match: *"], "200"),
    ("GET", ["If-Modified-Since: \(date)"], "304"), ("GET", ["If-Modified-Since: \(after)"], "304"),
    ("GET", ["If-Modified-Since: \(before)"], "200"),
    ("HEAD", ["If-Modified-Since: \(date)"], "304"),
    ("POST", ["If-Modified-Since: \(date)"], "200"), ("GET", ["If-Modified-Since: now"], "200"),
    ("GET", ["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], "304"),
    ("GET", ["If-Modified-Since: Sun Nov  6 08:49:37 1994"], "304"),
    ("GET", ["If-Unmodified-Since: \(date)"], "200"),
    ("GET", ["If-Unmodified-Since: \(after)"], "200"),
    ("GET", ["If-Unmodified-Since: \(before)"], "412"), ("GET", ["If-Unmodified-Since: x"], "200"),
    ("POST", ["If-Unmodified-Since: \(before)"], "412"),
    // If-Match hides If-Unmodified-Since, and If-None-Match hides If-Modified-Since.
    ("GET", ["If-Match: \"t\"", "If-Unmodified-Since: \(before)"], "200"),
    ("GET", ["If-None-Match: \"x\"", "If-Modified-Since: \(date)"], "200"),
    ("GET", ["If-None-Match: \"t\"", "If-Modified-Since: \(before)"], "304"),
    ("GET", ["If-Match: \"x\"", "If-None-Match: \"t\""], "412"),
    ("GET", ["If-Match: \"t\"", "If-None-Match: \"t\""], "304"),
    ("GET", ["If-Unmodified-Since: \(date)", "If-Modified-Since: \(date)"], "304"),
  ])
  func verdicts(_ method: String, _ fields: [String], _ expected: String) throws {
    let (head, bytes) = try head(method, fields)
    let etag = try #require(EntityTag("\"t\""))
    let verdict = Preconditions.evaluate(
      head, in: bytes.span, Validators(etag: etag, modified: Self.modified))
    #expect(
      verdict == (expected == "304" ? .notModified : expected == "412" ? .failed : .proceed))
  }

  @Test(arguments: [
    ("GET", ["Range: bytes=0-1"], "0+2"), ("HEAD", ["Range: bytes=0-1"], "whole"),
    ("POST", ["Range: bytes=0-1"], "whole"), ("GET", [], "whole"),
    ("GET", ["If-Range: \"t\""], "whole"),
    ("GET", ["Range: bytes=0-1", "If-Range: \"t\""], "0+2"),
    ("GET", ["Range: bytes=0-1", "If-Range: \"x\""], "whole"),
    ("GET", ["Range: bytes=0-1", "If-Range: W/\"t\""], "whole"),
    ("GET", ["Range: bytes=0-1", "If-Range: \"t\", \"x\""], "whole"),
    ("GET", ["Range: bytes=0-1", "If-Range: \(date)"], "0+2"),
    ("GET", ["Range: bytes=0-1", "If-Range: \(after)"], "whole"),
    ("GET", ["Range: bytes=0-1", "If-Range: \(before)"], "whole"),
    ("GET", ["Range: bytes=0-1", "If-Range: t"], "whole"),
    ("GET", ["Range: bytes=0-1", "If-Range:"], "whole"),
    ("GET", ["Range: bytes=9-", "If-Range: \"t\""], "416"),
    ("GET", ["Range: bytes=9-", "If-Range: \"x\""], "whole"),
  ])
  func ranges(_ method: String, _ fields: [String], _ expected: String) throws {
    let (head, bytes) = try head(method, fields)
    let etag = try #require(EntityTag("\"t\""))
    let request = Preconditions.range(
      head, in: bytes.span, Validators(etag: etag, modified: Self.modified), byteCount: 9)
    #expect(text(request) == expected)
  }

  @Test func aWeakTagIsNeverStronglyTheSame() throws {
    let weak = EntityTag(weak: "t")
    #expect(weak.text == "W/\"t\"")
    let validators = Validators(etag: weak, modified: nil)
    let (match, matchBytes) = try head("GET", ["If-Match: W/\"t\""])
    let failed = Preconditions.evaluate(match, in: matchBytes.span, validators)
    #expect(failed == .failed)
    let (range, rangeBytes) = try head("GET", ["Range: bytes=0-1", "If-Range: W/\"t\""])
    let whole = Preconditions.range(range, in: rangeBytes.span, validators, byteCount: 9)
    #expect(whole == .whole)
    let (none, noneBytes) = try head("GET", ["If-None-Match: \"t\""])
    let unchanged = Preconditions.evaluate(none, in: noneBytes.span, validators)
    #expect(unchanged == .notModified)
  }

  @Test(arguments: [
    (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (modified, date),
    (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
    (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"), (Int.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
    (Int.min, "Sat, 01 Jan 0000 00:00:00 GMT"),
  ])
  func datesAreWritten(_ seconds: Int, _ expected: String) {
    #expect(String(decoding: HTTPDate.format(seconds), as: UTF8.self) == expected)
  }

  @Test func datesAreReadBack() {
    for day in stride(from: -719_528, to: 2_932_896, by: 97) {
      let seconds = day * 86_400 + (day * 31 % 86_400 + 86_400) % 86_400
      let text = String(decoding: HTTPDate.format(seconds), as: UTF8.self)
      #expect(HTTPDate.parse(text) == seconds, "\(text)")
    }
  }

  @Test(arguments: [
    "", "x", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
    "Xyz, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
    "Sun, +6 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
    "Sun, 32 Jan 1994 08:49:37 GMT", "Sun Nov 99 08:49:37 1994",
  ])
  func noDates(_ text: String) { #expect(HTTPDate.parse(text) == nil) }
}
