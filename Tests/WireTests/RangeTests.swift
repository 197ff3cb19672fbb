import Content
import Testing

@testable import Wire

/// Short text for a range request: `whole`, `416`, or `offset+count` for each range.
func text(_ request: RangeRequest) -> String {
  switch request {
  case .whole: "whole"
  case .unsatisfiable: "416"
  case .one(let range): "\(range.offset)+\(range.count)"
  case .several(let ranges): ranges.map { "\($0.offset)+\($0.count)" }.joined(separator: " ")
  }
}

@Suite struct RangeTests {
  @Test(arguments: [
    ("bytes=0-0", "0+1"), ("bytes=0-99", "0+100"), ("bytes=0-", "0+100"), ("bytes=99-", "99+1"),
    ("bytes=10-19", "10+10"), ("bytes=50-1000", "50+50"), ("BYTES=1-2", "1+2"),
    ("bytes=100-", "416"), ("bytes=100-200", "416"), ("bytes=-1", "99+1"), ("bytes=-100", "0+100"),
    ("bytes=-1000", "0+100"), ("bytes=-0", "416"), ("bytes=-00", "416"),
    ("bytes=0-99999999999999999999", "0+100"), ("bytes=99999999999999999999-", "416"),
    ("bytes=99999999999999999998-99999999999999999999", "416"),
    ("bytes=-99999999999999999999", "0+100"), ("bytes=9223372036854775807-", "416"),
    ("bytes=0-9223372036854775807", "0+100"), ("bytes=007-008", "7+2"),
    ("bytes=0-0,2-2", "0+1 2+1"), ("bytes=0-0, 2-2", "0+1 2+1"), ("bytes= 0-0 ,\t2-2 ", "0+1 2+1"),
    ("bytes=5-6,0-1", "5+2 0+2"), ("bytes=0-1,2-3", "0+4"), ("bytes=0-5,3-8", "0+9"),
    ("bytes=3-8,0-5", "0+9"), ("bytes=0-1,8-9,2-7", "0+10"),
    ("bytes=20-21,0-1,8-9,2-7", "20+2 0+10"),
    ("bytes=0-99,5-6", "0+100"), ("bytes=-10,0-9", "90+10 0+10"), ("bytes=-10,95-", "90+10"),
    ("bytes=0-0,200-300", "0+1"), ("bytes=200-,300-", "416"), ("bytes=,0-0,,", "0+1"),
    ("bytes=0-0,-0", "0+1"),
    ("bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1"),
    ("bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", "whole"),
    ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9", "0+10"),
    ("bytes=", "whole"), ("bytes", "whole"), ("", "whole"), ("bytes=,", "whole"),
    ("bytes=a-b", "whole"), ("bytes=1", "whole"), ("bytes=-", "whole"), ("bytes=2-1", "whole"),
    ("bytes=1-2-3", "whole"), ("bytes=--1", "whole"), ("bytes=+1-2", "whole"),
    ("bytes=1 - 2", "whole"), ("bytes = 1-2", "whole"), ("bytes:1-2", "whole"),
    ("items=0-1", "whole"), ("bytes=0-1,x", "whole"), ("bytes=0-1;2-3", "whole"),
    ("bytes=0x1-2", "whole"), ("bytes=1.0-2", "whole"),
    ("bytes=99999999999999999999-1", "whole"),
  ])
  func ofAHundredBytes(_ value: String, _ expected: String) {
    #expect(text(RangeRequest.parse(value, byteCount: 100)) == expected)
  }

  @Test(arguments: [
    ("bytes=0-", "416"), ("bytes=0-0", "416"), ("bytes=-1", "whole"), ("bytes=-0", "416"),
    ("bytes=1-0", "whole"),
  ])
  func ofNothing(_ value: String, _ expected: String) {
    #expect(text(RangeRequest.parse(value, byteCount: 0)) == expected)
  }

  @Test func tooManyOnTheLine() {
    let many = Array(repeating: "0-0", count: RangeRequest.specifierCountMax)
    let value = "bytes=" + many.joined(separator: ",")
    #expect(text(RangeRequest.parse(value, byteCount: 9)) == "0+1")
    #expect(text(RangeRequest.parse(value + ",0-0", byteCount: 9)) == "whole")
  }

  @Test func mergedRangesAreTheSameBytesAndApart() {
    let seed = UInt64.random(in: 0 ... .max)
    print("ranges: seed \(seed)")
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<3_000 {
      var wanted = Set<Int>()
      var parts: [String] = []
      for _ in 0..<Int.random(in: 1...8, using: &generator) {
        let start = Int.random(in: 0..<60, using: &generator)
        let end = min(59, start + Int.random(in: 0..<9, using: &generator))
        parts.append("\(start)-\(end)")
        wanted.formUnion(start...end)
      }
      let value = "bytes=" + parts.joined(separator: ",")
      let ranges: [ByteRange]
      switch RangeRequest.parse(value, byteCount: 60) {
      case .one(let range): ranges = [range]
      case .several(let several): ranges = several
      case .whole, .unsatisfiable: ranges = []
      }
      #expect(Set(ranges.flatMap { $0.offset..<$0.end }) == wanted, "\(value)")
      for (index, range) in ranges.enumerated() {
        for other in ranges[(index + 1)...] {
          #expect(range.end < other.offset || other.end < range.offset, "\(value)")
        }
      }
    }
  }

  @Test(arguments: [
    ("bytes 0-9/100", "0+10/100"), ("bytes 0-9/*", "0+10/?"), ("bytes */100", "none/100"),
    ("Bytes 5-5/6", "5+1/6"), ("bytes */*", "refused"), ("bytes 9-0/100", "refused"),
    ("bytes 0-100/100", "refused"), ("bytes 0-9", "refused"), ("bytes 0-/100", "refused"),
    ("bytes -9/100", "refused"), ("items 0-9/100", "refused"), ("bytes=0-9/100", "refused"),
    ("bytes 0-9223372036854775807/*", "refused"), ("bytes 0-99999999999999999999/*", "refused"),
    ("bytes 0 - 9/100", "refused"), ("bytes 0-9/100 ", "refused"), ("", "refused"),
  ])
  func contentRanges(_ value: String, _ expected: String) {
    let parsed = ContentRange(value).map { parsed in
      (parsed.range.map { "\($0.offset)+\($0.count)" } ?? "none") + "/"
        + (parsed.byteCount.map(String.init) ?? "?")
    }
    #expect(parsed ?? "refused" == expected)
  }

  @Test func aMultipartBodyIsAsLongAsItSays() throws {
    let ranges = [ByteRange(offset: 0, count: 3), ByteRange(offset: 7, count: 1)].compactMap { $0 }
    let parts = MultipartRanges(
      ranges: ranges, of: 10, partType: "text/plain", boundary: "b0undary")
    var body: [UInt8] = []
    for (head, range) in zip(parts.partHeads, ranges) {
      body += head + Array("0123456789".utf8)[range.offset..<range.end]
    }
    body += parts.closing
    #expect(parts.byteCount == body.count)
    #expect(parts.contentType == "multipart/byteranges; boundary=b0undary")
    #expect(
      String(decoding: body, as: UTF8.self)
        == "--b0undary\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-2/10\r\n\r\n012"
        + "\r\n--b0undary\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-7/10\r\n\r\n7"
        + "\r\n--b0undary--\r\n")
    let huge = [ByteRange(offset: 0, count: .max), ByteRange(offset: 0, count: .max)]
    #expect(
      MultipartRanges(
        ranges: huge.compactMap { $0 }, of: .max, partType: "a/b", boundary: "b"
      ).byteCount == nil)
  }
}
