import Content
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Transport
import Wire

@Suite struct StreamingTests {
  private final class Source: BodySource {
    var parts: [String]
    var isClosed = false
    private let endsAfterLast: Bool

    init(_ parts: [String], endsAfterLast: Bool = true) {
      self.parts = parts
      self.endsAfterLast = endsAfterLast
    }

    func bodyDrained(on connection: ServerConnection) {
      if !parts.isEmpty {
        connection.append(Array(parts.removeFirst().utf8))
      } else if endsAfterLast {
        connection.endStreaming()
      }
    }

    func bodyClosed(on connection: ServerConnection) { isClosed = true }
  }

  private func exchange(_ source: Source, length: Int?) throws -> Exchange {
    try Exchange { responder, request, connection in
      if request.path == "/stream" {
        connection.startStreaming(.ok, length: length, source: source)
      } else {
        Responder.echo(responder, request, connection)
      }
    }
  }

  @Test func aBodyOfUnknownLengthIsChunked() throws {
    let source = Source(["hello", " world"])
    let exchange = try exchange(source, length: nil)
    let reply = try exchange.reply(
      to: "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"
        + "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    #expect(reply.contains("Transfer-Encoding: chunked\r\n"))
    #expect(reply.contains("\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nHTTP/1.1 200"))
    #expect(reply.hasSuffix("/next"))
    #expect(source.isClosed)
  }

  @Test func aBodyOfKnownLengthIsNot() throws {
    let exchange = try exchange(Source(["hello"]), length: 5)
    let reply = try exchange.reply(to: "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n", endsInput: true)
    #expect(reply.contains("Content-Length: 5\r\n"))
    #expect(reply.hasSuffix("\r\n\r\nhello"))
  }

  @Test func version10GetsItUntilTheEnd() throws {
    let exchange = try exchange(Source(["hello"]), length: nil)
    let reply = try exchange.reply(to: "GET /stream HTTP/1.0\r\n\r\n")
    #expect(reply.hasSuffix("\r\n\r\nhello"))
    #expect(!reply.contains("Transfer-Encoding"))
  }

  @Test func headStartsAndEndsAtOnce() throws {
    let source = Source([])
    let exchange = try exchange(source, length: nil)
    let reply = try exchange.reply(
      to: "HEAD /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    #expect(reply.contains("Transfer-Encoding: chunked\r\n"))
    #expect(reply.hasSuffix("\r\n\r\n"))
  }

  @Test func theSourceHearsThatTheClientIsGone() throws {
    let source = Source(["hello"], endsAfterLast: false)
    let exchange = try exchange(source, length: nil)
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
    exchange.run { client.text.contains("hello") }
    client.close()
    exchange.run { source.isClosed }
    #expect(exchange.server.connectionCount == 0)
  }
}

@Suite struct DrainTests {
  @Test func idleConnectionsEndAndNewOnesAreNotTaken() throws {
    let exchange = try Exchange()
    let client = try RawClient(exchange.loop, exchange.endpoint)
    exchange.run { exchange.server.connectionCount == 1 }
    var isDrained = false
    exchange.server.drain { isDrained = true }
    exchange.run { client.isOver }
    client.close()
    exchange.run { isDrained }
    let late = try RawClient(exchange.loop, exchange.endpoint)
    exchange.run { late.isOver }
    #expect(late.received.isEmpty)
  }

  @Test func responsesUnderWayAreFinished() throws {
    let file = try TemporaryFile(byteCount: 5_000_000)
    var late: ServerConnection?
    let exchange = try Exchange { _, request, connection in
      if request.path == "/late" {
        late = connection
      } else {
        connection.respond(.whole, with: file.representation, file: file.file)
      }
    }
    let large = try RawClient(exchange.loop, exchange.endpoint)
    large.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
    let waiting = try RawClient(exchange.loop, exchange.endpoint)
    waiting.send("GET /late HTTP/1.1\r\nHost: h\r\n\r\n")
    exchange.run { late != nil && !large.received.isEmpty }
    var isDrained = false
    exchange.server.drain { isDrained = true }
    exchange.loop.turn(waits: false)
    #expect(!isDrained)
    late?.respond(.ok, body: .bytes(Array("done".utf8)))
    exchange.run { large.isOver && waiting.isOver }
    #expect(waiting.text.hasSuffix("done"))
    #expect(waiting.text.contains("Connection: close\r\n"))
    #expect(large.received.count > 5_000_000)
    for client in [large, waiting] { client.close() }
    exchange.run { isDrained }
  }

  @Test func aServerWithoutConnectionsIsDrainedAtOnce() throws {
    let exchange = try Exchange()
    var isDrained = false
    exchange.server.drain { isDrained = true }
    #expect(isDrained)
  }
}
