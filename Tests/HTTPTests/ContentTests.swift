import Content
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Transport
import Wire

@Suite struct ContentTests {
  private func plan(_ fields: String, method: String = "GET", byteCount: Int = 100) throws
    -> ContentPlan
  {
    let bytes = Array("\(method) / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n".utf8)
    let representation = Representation(
      byteCount: byteCount, etag: Array("\"tag\"".utf8), modified: 784_111_777,
      contentType: Array("text/plain".utf8))
    return ContentPlan(try RequestHead(bytes.span), bytes: bytes.span, for: representation)
  }

  private func range(_ offset: Int, _ count: Int) throws -> ByteRange {
    try #require(ByteRange(offset: offset, count: count))
  }

  /// RFC 9110 section 13.2.2 and 14: which wins.
  @Test func plans() throws {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    #expect(try plan("") == .whole)
    #expect(try plan("Range: bytes=10-19\r\n") == .range(try range(10, 10)))
    #expect(try plan("Range: bytes=-5\r\n") == .range(try range(95, 5)))
    #expect(try plan("Range: bytes=100-\r\n") == .unsatisfiable)
    #expect(try plan("Range: bytes=5-1\r\n") == .whole)
    #expect(
      try plan("Range: bytes=0-1,50-51\r\n") == .ranges([try range(0, 2), try range(50, 2)]))
    #expect(try plan("Range: bytes=0-1\r\n", method: "HEAD") == .whole)
    #expect(try plan("If-None-Match: \"tag\"\r\nRange: bytes=0-1\r\n") == .notModified)
    #expect(try plan("If-None-Match: \"other\"\r\nIf-Modified-Since: \(date)\r\n") == .whole)
    #expect(try plan("If-Modified-Since: \(date)\r\n") == .notModified)
    #expect(try plan("If-Match: \"other\"\r\nIf-None-Match: \"tag\"\r\n") == .preconditionFailed)
    #expect(
      try plan("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n") == .preconditionFailed)
    #expect(try plan("If-Range: \"tag\"\r\nRange: bytes=0-1\r\n") == .range(try range(0, 2)))
    #expect(try plan("If-Range: \"other\"\r\nRange: bytes=0-1\r\n") == .whole)
    #expect(try plan("If-Range: \(date)\r\nRange: bytes=0-1\r\n") == .range(try range(0, 2)))
    #expect(try plan("Range: bytes=0-\r\n", byteCount: 0) == .unsatisfiable)
  }

  private func reply(_ file: TemporaryFile, _ fields: String, method: String = "GET") throws
    -> (text: String, counted: Int)
  {
    let exchange = try Exchange { _, request, connection in
      let plan = ContentPlan(request.head, bytes: request.bytes.span, for: file.representation)
      connection.respond(plan, with: file.representation, file: file.file)
    }
    let reply = try exchange.reply(
      to: "\(method) / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n", endsInput: true)
    return (reply, exchange.server.statistics.contentBytes.value)
  }

  @Test func sendsTheWholeFile() throws {
    let file = try TemporaryFile(byteCount: 100)
    let (text, counted) = try reply(file, "")
    #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
    for field in [
      "Content-Length: 100", "Content-Type: text/plain", "ETag: \"tag\"", "Accept-Ranges: bytes",
      "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
    ] {
      #expect(text.contains("\r\n\(field)\r\n"))
    }
    #expect(text.hasSuffix("\r\n\r\n" + String(decoding: file.bytes, as: UTF8.self)))
    #expect(counted == 100)
  }

  @Test func sendsOneRange() throws {
    let file = try TemporaryFile(byteCount: 100_000)
    let (text, counted) = try reply(file, "Range: bytes=50000-59999\r\n")
    #expect(statusCodes(in: text) == [206])
    #expect(text.contains("\r\nContent-Range: bytes 50000-59999/100000\r\n"))
    #expect(text.contains("\r\nContent-Length: 10000\r\n"))
    #expect(text.hasSuffix(String(decoding: file.bytes[50_000..<60_000], as: UTF8.self)))
    #expect(counted == 10_000)
  }

  @Test func sendsSeveralRangesWithAnExactLength() throws {
    let file = try TemporaryFile(byteCount: 100)
    let (text, counted) = try reply(file, "Range: bytes=0-4,10-14,-3\r\nConnection: close\r\n")
    #expect(statusCodes(in: text) == [206])
    let parts = text.components(separatedBy: "\r\n\r\n")
    let length = try #require(
      parts[0].components(separatedBy: "Content-Length: ").last?.prefix { $0.isNumber })
    let exchange = try Exchange { _, request, connection in
      let plan = ContentPlan(request.head, bytes: request.bytes.span, for: file.representation)
      connection.respond(plan, with: file.representation, file: file.file)
    }
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send(
      "GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=0-4,10-14,-3\r\nConnection: close\r\n\r\n")
    exchange.run { client.isOver }
    let headEnd = try #require(client.received.firstRange(of: Array("\r\n\r\n".utf8)))
    // Boundaries are random and may differ in length by a digit or two.
    let received = client.received.count - headEnd.upperBound
    #expect(abs(received - (Int(length) ?? 0)) < 16)
    #expect(client.text.contains("Content-Length: \(received)\r\n"))
    #expect(text.contains("multipart/byteranges; boundary="))
    #expect(text.contains("Content-Range: bytes 97-99/100\r\n"))
    #expect(counted == 13)
  }

  @Test func answersWithoutContent() throws {
    let file = try TemporaryFile(byteCount: 100)
    let unmodified = try reply(file, "If-None-Match: \"tag\"\r\n")
    #expect(statusCodes(in: unmodified.text) == [304])
    #expect(unmodified.text.contains("ETag: \"tag\"\r\n"))
    #expect(!unmodified.text.contains("Content-Length"))
    let unsatisfiable = try reply(file, "Range: bytes=100-\r\n")
    #expect(statusCodes(in: unsatisfiable.text) == [416])
    #expect(unsatisfiable.text.contains("Content-Range: bytes */100\r\n"))
    #expect(try statusCodes(in: reply(file, "If-Match: \"x\"\r\n").text) == [412])
    let head = try reply(file, "", method: "HEAD")
    #expect(head.text.contains("Content-Length: 100\r\n"))
    #expect(head.text.hasSuffix("\r\n\r\n"))
    #expect(unmodified.counted + unsatisfiable.counted + head.counted == 0)
  }

  @Test func anEmptyFileIsSent() throws {
    let file = try TemporaryFile(byteCount: 0)
    let (text, _) = try reply(file, "")
    #expect(statusCodes(in: text) == [200])
    #expect(text.contains("Content-Length: 0\r\n"))
  }

  private final class Observer: ResponseObserver {
    var ends: [(sent: Int, isComplete: Bool)] = []

    func responseEnded(
      on connection: ServerConnection, sentByteCount: Int, isComplete: Bool
    ) {
      ends.append((sentByteCount, isComplete))
    }
  }

  @Test func anObserverHearsHowFarABrokenResponseCame() throws {
    let file = try TemporaryFile(byteCount: 20_000_000)
    let observer = Observer()
    let exchange = try Exchange {
      $2.respond(.whole, with: file.representation, file: file.file, observer: observer)
    }
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    exchange.run { client.received.count > 1_000_000 }
    client.close()
    exchange.run { !observer.ends.isEmpty }
    #expect(observer.ends.count == 1)
    #expect(observer.ends[0].isComplete == false)
    #expect((1_000_000..<20_000_000).contains(observer.ends[0].sent))
    #expect(exchange.server.statistics.contentBytes.value == observer.ends[0].sent)
  }

  @Test func anObserverHearsTheEnd() throws {
    let file = try TemporaryFile(byteCount: 2_000_000)
    let observer = Observer()
    let exchange = try Exchange {
      $2.respond(.whole, with: file.representation, file: file.file, observer: observer)
    }
    _ = try exchange.reply(to: "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    #expect(observer.ends.map(\.sent) == [2_000_000])
    #expect(observer.ends.map(\.isComplete) == [true])
  }
}
