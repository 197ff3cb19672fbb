import Content
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Transport
import Wire

@Suite struct LimitTests {
  private func limits(_ change: (inout ServerLimits) -> Void) -> ServerLimits {
    var limits = ServerLimits()
    change(&limits)
    return limits
  }

  @Test func aLongTargetIsRefused() throws {
    let exchange = try Exchange()
    let path = String(repeating: "a", count: 8_200)
    #expect(
      try statusCodes(in: exchange.reply(to: "GET /\(path) HTTP/1.1\r\nHost: h\r\n\r\n")) == [414])
    #expect(exchange.server.statistics.malformed.value == 1)
  }

  @Test func tooManyFieldsAreRefused() throws {
    let exchange = try Exchange()
    let fields = String(repeating: "X: y\r\n", count: 101)
    #expect(
      try statusCodes(in: exchange.reply(to: "GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")) == [431]
    )
  }

  @Test func aLongBodyIsRefusedBeforeItComes() throws {
    let exchange = try Exchange()
    let reply = try exchange.reply(
      to: "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
    #expect(statusCodes(in: reply) == [413])
    #expect(reply.contains("Connection: close\r\n"))
  }

  @Test func aLongChunkedBodyIsRefused() throws {
    let exchange = try Exchange()
    let chunk = "1f4\r\n" + String(repeating: "x", count: 500) + "\r\n"
    let reply = try exchange.reply(
      to: "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk + chunk + chunk + "0\r\n\r\n")
    #expect(statusCodes(in: reply) == [413])
    #expect(exchange.responder.requests.isEmpty)
  }

  @Test func aBodyWhereNoneIsTakenIsRefused() throws {
    let exchange = try Exchange()
    exchange.responder.bodyByteCountMax = 0
    let reply = try exchange.reply(to: "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
    #expect(statusCodes(in: reply) == [413])
  }

  @Test func anUnfinishedHandshakeTimesOut() throws {
    #expect(ServerLimits().handshakeTimeout == .seconds(5))
    let exchange = try Exchange(limits: limits { $0.handshakeTimeout = .milliseconds(20) })
    let endpoint = try exchange.server.listen(
      on: Endpoint(address: .loopback, port: 0), tls: try TLSServer.forTests())
    let client = try RawClient(exchange.loop, endpoint)
    // The beginning of a record that never ends.
    client.send([22, 3, 1])
    exchange.run { client.isOver }
    #expect(client.text.isEmpty)
    #expect(exchange.server.statistics.timeouts.value == 1)
  }

  @Test func anUnfinishedHeadTimesOut() throws {
    let exchange = try Exchange(limits: limits { $0.headTimeout = .milliseconds(20) })
    let reply = try exchange.reply(to: "GET / HTTP/1.1\r\nHost:")
    #expect(statusCodes(in: reply) == [408])
    #expect(exchange.server.statistics.timeouts.value == 1)
  }

  @Test func anUnfinishedBodyTimesOut() throws {
    let exchange = try Exchange(limits: limits { $0.headTimeout = .milliseconds(20) })
    let reply = try exchange.reply(
      to: "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
    #expect(statusCodes(in: reply) == [408])
  }

  @Test func anIdleConnectionEnds() throws {
    let exchange = try Exchange(limits: limits { $0.idleTimeout = .milliseconds(20) })
    let client = try RawClient(exchange.loop, exchange.endpoint)
    exchange.run { client.isOver }
    #expect(client.received.isEmpty)
  }

  @Test func aClientThatDoesNotReadEnds() throws {
    let file = try TemporaryFile(byteCount: 8_000_000)
    let exchange = try Exchange(limits: limits { $0.stallTimeout = .milliseconds(50) }) {
      $2.respond(.whole, with: file.representation, file: file.file)
    }
    let client = try RawClient(exchange.loop, exchange.endpoint)
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    client.stopReading()
    exchange.run { exchange.server.statistics.timeouts.value == 1 }
    exchange.run { exchange.server.connectionCount == 0 }
    #expect(exchange.server.statistics.contentBytes.value < 8_000_000)
  }

  @Test func tooManyConnectionsAreRefusedPolitely() throws {
    let exchange = try Exchange(limits: limits { $0.connectionCountMax = 2 })
    let first = try RawClient(exchange.loop, exchange.endpoint)
    let second = try RawClient(exchange.loop, exchange.endpoint)
    exchange.run { exchange.server.connectionCount == 2 }
    let third = try RawClient(exchange.loop, exchange.endpoint)
    exchange.run { third.isOver }
    #expect(statusCodes(in: third.text) == [503])
    #expect(third.text.contains("Retry-After: "))
    #expect(exchange.server.statistics.refusals.value == 1)
    for client in [first, second] { client.close() }
  }

  @Test func tooManyConnectionsOfOneAddressAreRefused() throws {
    let exchange = try Exchange(limits: limits { $0.connectionCountMaxPerAddress = 1 })
    let first = try RawClient(exchange.loop, exchange.endpoint)
    exchange.run { exchange.server.connectionCount == 1 }
    let second = try RawClient(exchange.loop, exchange.endpoint)
    exchange.run { second.isOver }
    #expect(statusCodes(in: second.text) == [503])
    first.close()
    exchange.run { exchange.server.connectionCount == 0 }
    let third = try RawClient(exchange.loop, exchange.endpoint)
    third.send("GET /c HTTP/1.1\r\nHost: h\r\n\r\n")
    exchange.run { third.text.hasSuffix("/c") }
  }

  /// A flood of pipelined requests behind a slow response is left in the kernel, not in memory.
  @Test func pipelinedBytesAreBounded() throws {
    var late: ServerConnection?
    let exchange = try Exchange(limits: limits { $0.pipelinedByteCountMax = 10_000 }) {
      responder, request, connection in
      if request.path == "/late" {
        late = connection
      } else {
        Responder.echo(responder, request, connection)
      }
    }
    let client = try RawClient(exchange.loop, exchange.endpoint)
    let flood = String(repeating: "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", count: 2_000)
    client.send("GET /late HTTP/1.1\r\nHost: h\r\n\r\n")
    exchange.run { late != nil }
    client.send(flood)
    for _ in 0..<20 { exchange.loop.turn(waits: false) }
    #expect(exchange.responder.requests.count == 1)
    late?.respond(.ok)
    exchange.run { exchange.responder.requests.count == 2_001 }
    client.endInput()
    exchange.run { exchange.server.connectionCount == 0 }
  }
}
