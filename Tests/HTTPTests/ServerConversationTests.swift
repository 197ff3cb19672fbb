import Content
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Transport
import Wire

@Suite struct ServerConversationTests {
  private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

  @Test func answersAndKeepsTheConnection() throws {
    let exchange = try Exchange()
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send(get)
    exchange.run { client.text.hasSuffix("/a") }
    #expect(client.text.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(client.text.contains("\r\nContent-Length: 2\r\n"))
    #expect(client.text.contains("\r\nDate: "))
    #expect(!client.text.contains("Connection:"))
    client.send("GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
    exchange.run { client.text.hasSuffix("/b") }
    #expect(!client.isOver)
    #expect(exchange.server.connectionCount == 1)
  }

  @Test func answersPipelinedRequestsInOrder() throws {
    let exchange = try Exchange()
    let requests = (0..<50).map { "GET /\($0) HTTP/1.1\r\nHost: h\r\n\r\n" }.joined()
    let reply = try exchange.reply(to: requests, endsInput: true)
    let paths = reply.components(separatedBy: "\r\n\r\n").dropFirst().map {
      String($0.prefix { $0 != "H" })
    }
    #expect(paths == (0..<50).map { "/\($0)" })
  }

  /// Responses that come later than the next requests must not be overtaken.
  @Test func pipelinedRequestsWaitForALateResponse() throws {
    var late: ServerConnection?
    let exchange = try Exchange { responder, request, connection in
      if request.path == "/late" {
        late = connection
      } else {
        Responder.echo(responder, request, connection)
      }
    }
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send("GET /late HTTP/1.1\r\nHost: h\r\n\r\n" + get)
    exchange.run { late != nil }
    exchange.loop.turn(waits: false)
    #expect(client.received.isEmpty)
    #expect(exchange.responder.requests.count == 1)
    late?.respond(.notFound)
    exchange.run { client.text.hasSuffix("/a") }
    #expect(statusCodes(in: client.text) == [404, 200])
  }

  @Test func headIsAnsweredWithoutABody() throws {
    let exchange = try Exchange()
    let reply = try exchange.reply(
      to: "HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n" + get, endsInput: true)
    #expect(reply.contains("Content-Length: 4\r\n"))
    #expect(statusCodes(in: reply) == [200, 200])
    #expect(!reply.contains("\r\n\r\n/abc"))
    #expect(reply.hasSuffix("\r\n\r\n/a"))
  }

  @Test func closesWhenAsked() throws {
    let exchange = try Exchange()
    let reply = try exchange.reply(
      to: "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + get)
    #expect(statusCodes(in: reply) == [200])
    #expect(reply.contains("Connection: close\r\n"))
  }

  @Test func version10ClosesUnlessToldOtherwise() throws {
    let exchange = try Exchange()
    let reply = try exchange.reply(to: "GET /a HTTP/1.0\r\n\r\n")
    #expect(reply.contains("Connection: close\r\n"))
    let kept = try exchange.reply(
      to: "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n")
    #expect(statusCodes(in: kept) == [200, 200])
    #expect(kept.contains("Connection: keep-alive\r\n"))
  }

  /// Whoever ends its side still gets everything it asked for.
  @Test func halfClosedClientsGetTheirResponses() throws {
    let file = try TemporaryFile(byteCount: 600_000)
    let exchange = try Exchange { _, _, connection in
      connection.respond(.whole, with: file.representation, file: file.file)
    }
    let reply = try exchange.reply(to: [Array((get + get).utf8)])
    #expect(statusCodes(in: reply).count >= 2)
    #expect(exchange.responder.requests.count == 2)
    #expect(exchange.server.statistics.contentBytes.value == 1_200_000)
  }

  @Test func everySplitOfARequestIsTheSame() throws {
    let exchange = try Exchange()
    let request = Array("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello".utf8)
    for place in 1..<request.count {
      let reply = try exchange.reply(to: [Array(request[..<place]), Array(request[place...])])
      #expect(reply.hasSuffix("\r\n\r\n/phello"), "cut at \(place)")
    }
    let single = try exchange.reply(to: request.map { [$0] })
    #expect(single.hasSuffix("\r\n\r\n/phello"))
  }

  @Test func chunkedBodiesArrive() throws {
    let exchange = try Exchange()
    let reply = try exchange.reply(
      to: "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n" + get, endsInput: true)
    #expect(statusCodes(in: reply) == [200, 200])
    #expect(exchange.responder.requests.map(\.body) == [Array("hello".utf8), []])
  }

  @Test func expectationIsMetBeforeTheBody() throws {
    let exchange = try Exchange()
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send(
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    exchange.run { client.text.hasSuffix("\r\n\r\n") }
    #expect(client.text == "HTTP/1.1 100 Continue\r\n\r\n")
    client.send("hi")
    exchange.run { client.text.hasSuffix("/phi") }
    #expect(statusCodes(in: client.text) == [100, 200])
  }

  @Test func aLateResponseToAClosedConnectionIsNoHarm() throws {
    var late: ServerConnection?
    let exchange = try Exchange { _, _, connection in late = connection }
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send(get)
    exchange.run { late != nil }
    client.close()
    late?.close()
    exchange.run { exchange.server.connectionCount == 0 }
    late?.respond(.ok)
    #expect(late?.isOpen == false)
  }
}
