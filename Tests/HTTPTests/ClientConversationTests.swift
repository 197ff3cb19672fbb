import Content
import Foundation
import HTTP
import Posix
import Reactor
import Testing
import Transport
import Wire

@Suite struct ClientConversationTests {
  private func connect(_ exchange: Exchange) -> ClientConnection {
    ClientConnection(exchange.loop, to: exchange.endpoint, host: "host:1")
  }

  @Test func asksAndIsAnswered() throws {
    let exchange = try Exchange()
    let client = connect(exchange)
    let collector = Collector()
    client.send(.get, "/a?b", silenceMax: .seconds(30), receiver: collector)
    exchange.run { collector.isOver }
    #expect(collector.status == .ok)
    #expect(collector.bodyText == "/a")
    let request = try #require(exchange.responder.requests.first)
    #expect(request.head.value(of: .host, in: request.bytes.span) == "host:1")
    #expect(client.isUsable)
    client.close()
  }

  @Test func asksAheadAndGetsTheAnswersInOrder() throws {
    let exchange = try Exchange()
    let client = connect(exchange)
    let collectors = (0..<20).map { _ in Collector() }
    for (index, collector) in collectors.enumerated() {
      client.send(.get, "/\(index)", silenceMax: .seconds(30), receiver: collector)
    }
    exchange.run { collectors.allSatisfy(\.isOver) }
    #expect(collectors.map(\.bodyText) == (0..<20).map { "/\($0)" })
    client.close()
  }

  @Test func sendsABody() throws {
    let exchange = try Exchange()
    let client = connect(exchange)
    let collector = Collector()
    client.send(
      .post, "/p", body: Array("hello".utf8), silenceMax: .seconds(30), receiver: collector)
    exchange.run { collector.isOver }
    #expect(collector.bodyText == "/phello")
    client.close()
  }

  /// Body bytes land where the receiver wants them, whatever its buffer's size.
  @Test(arguments: [1, 1_000, 16_384, 1 << 20]) func readsIntoTheReceiversBuffer(
    _ byteCount: Int
  ) throws {
    let file = try TemporaryFile(byteCount: byteCount == 1 ? 3_000 : 500_000)
    let exchange = try Exchange {
      $2.respond(.whole, with: file.representation, file: file.file)
    }
    let client = connect(exchange)
    let collector = Collector()
    collector.offered = .allocate(byteCount: byteCount, alignment: 1)
    client.send(.get, "/", silenceMax: .seconds(30), receiver: collector)
    exchange.run { collector.isOver }
    #expect(collector.isComplete)
    #expect(collector.body == file.bytes)
    client.close()
  }

  @Test func readsAChunkedBody() throws {
    let exchange = try Exchange { _, _, connection in
      connection.startStreaming(.ok, length: nil, source: Silence())
      connection.append(Array("hello".utf8))
      connection.append(Array(" world".utf8))
      connection.endStreaming()
    }
    let client = connect(exchange)
    let collector = Collector()
    client.send(.get, "/", silenceMax: .seconds(30), receiver: collector)
    exchange.run { collector.isOver }
    #expect(collector.bodyText == "hello world")
    #expect(collector.isComplete)
    client.close()
  }

  private final class Silence: BodySource {
    func bodyDrained(on connection: ServerConnection) {}
    func bodyClosed(on connection: ServerConnection) {}
  }

  @Test func headHasNoBody() throws {
    let exchange = try Exchange()
    let client = connect(exchange)
    let (head, get) = (Collector(), Collector())
    client.send(.head, "/a", silenceMax: .seconds(30), receiver: head)
    client.send(.get, "/b", silenceMax: .seconds(30), receiver: get)
    exchange.run { get.isOver }
    #expect(head.isComplete)
    #expect(head.body.isEmpty)
    #expect(head.fields[.contentLength] == "2")
    #expect(get.bodyText == "/b")
    client.close()
  }

  @Test func silenceFails() throws {
    var kept: [ServerConnection] = []
    let exchange = try Exchange { kept.append($2) }
    let client = connect(exchange)
    let collector = Collector()
    client.send(.get, "/", silenceMax: .milliseconds(20), receiver: collector)
    exchange.run { collector.isOver }
    #expect(collector.failure == .timedOut)
    #expect(!client.isOpen)
  }

  @Test func aRefusedConnectionFails() throws {
    let exchange = try Exchange()
    let endpoint = exchange.endpoint
    exchange.server.close()
    let client = ClientConnection(exchange.loop, to: endpoint, host: "h")
    let collector = Collector()
    client.send(.get, "/", silenceMax: .seconds(30), receiver: collector)
    exchange.run { collector.isOver }
    guard case .unreachable = collector.failure else {
      Issue.record("\(String(describing: collector.failure))")
      return
    }
  }

  @Test func aBrokenResponseFails() throws {
    let file = try TemporaryFile(byteCount: 5_000_000)
    let exchange = try Exchange {
      $2.respond(.whole, with: file.representation, file: file.file)
    }
    let client = connect(exchange)
    let (first, second) = (Collector(), Collector())
    client.send(.get, "/", silenceMax: .seconds(30), receiver: first)
    client.send(.get, "/", silenceMax: .seconds(30), receiver: second)
    exchange.run { first.body.count > 100_000 }
    exchange.server.close()
    exchange.run { first.isOver && second.isOver }
    #expect(first.failure != nil)
    #expect(second.failure != nil)
    #expect(second.status == nil)
  }

  @Test func closingFailsWhatIsOutstanding() throws {
    var kept: [ServerConnection] = []
    let exchange = try Exchange { kept.append($2) }
    let client = connect(exchange)
    let collector = Collector()
    client.send(.get, "/", silenceMax: .seconds(30), receiver: collector)
    exchange.run { !kept.isEmpty }
    client.close()
    exchange.run { collector.isOver }
    #expect(collector.failure == .cancelled)
    let late = Collector()
    client.send(.get, "/", silenceMax: .seconds(30), receiver: late)
    exchange.run { late.isOver }
    #expect(late.failure != nil)
  }

  @Test func aServerThatClosesIsNotAskedAgain() throws {
    let exchange = try Exchange { _, _, connection in
      connection.respond(.ok, body: .bytes(Array("x".utf8)), endsConnection: true)
    }
    let client = connect(exchange)
    let (first, second) = (Collector(), Collector())
    client.send(.get, "/", silenceMax: .seconds(30), receiver: first)
    client.send(.get, "/", silenceMax: .seconds(30), receiver: second)
    exchange.run { second.isOver }
    #expect(first.isComplete)
    #expect(second.failure != nil)
    #expect(!client.isUsable)
  }
}
