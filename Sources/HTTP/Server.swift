package import Content
package import Posix
package import Reactor
package import Transport
package import Wire

/// Decides what the requests of one server are answered with. Called on the server's loop.
package protocol RequestHandler: AnyObject {
  /// The most bytes of body this request may have; 0 when it may have none.
  func bodyByteCountMax(of head: RequestHead, bytes: Span<UInt8>) -> Int

  /// Answers now or later with one response on `connection`. `bytes` are those of the head, `body`
  /// is complete; both are valid during the call.
  func handle(
    _ head: RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, on connection: ServerConnection)

  /// The connection is over. Handlers that keep nothing of connections need not care.
  func connectionClosed(_ connection: ServerConnection)
}

extension RequestHandler {
  package func connectionClosed(_ connection: ServerConnection) {}
}

/// One loop's HTTP service: its listeners, its connections, its limits.
package final class Server {
  package let loop: EventLoop
  package let limits: ServerLimits
  package let statistics: ServerStatistics
  package private(set) var isDraining = false

  private unowned let handler: any RequestHandler
  private var listeners: [Listener] = []
  /// Each knows its place.
  private var connections: ContiguousArray<ServerConnection> = []
  private var countByAddress: [IPAddress: Int] = [:]
  private var drained: (() -> Void)?
  /// Heads are built here and copied out, so that none is allocated.
  var scratch: [UInt8] = []
  private var dateSecond = 0
  /// The fields that every response has: Date and Server.
  private(set) var standingFields: [UInt8] = []

  package init(
    _ loop: EventLoop, handler: any RequestHandler, limits: ServerLimits = ServerLimits(),
    statistics: ServerStatistics = ServerStatistics()
  ) {
    self.loop = loop
    self.handler = handler
    self.limits = limits
    self.statistics = statistics
    scratch.reserveCapacity(4_096)
  }

  package var connectionCount: Int { connections.count }

  /// Starts to accept on `endpoint`; several loops may share one when `sharesPort` is set.
  /// - Returns: where it listens, with the port the system picked when it was 0.
  @discardableResult
  package func listen(
    on endpoint: Endpoint, sharesPort: Bool = false, tls: TLSServer? = nil
  ) throws(SystemError) -> Endpoint {
    let listener = try Listener(
      loop, on: endpoint, sharesPort: sharesPort, tls: tls,
      unsentByteCountMax: tls == nil ? limits.unsentByteCountMax : nil
    ) { [unowned self] stream in self.accepted(stream) }
    listeners.append(listener)
    return listener.endpoint
  }

  /// Accepts no more, ends idle connections now and the others with their response.
  package func drain(_ done: @escaping () -> Void) {
    isDraining = true
    for listener in listeners { listener.close() }
    listeners = []
    drained = done
    for connection in connections { connection.drain() }
    if connections.isEmpty { finishDraining() }
  }

  /// Ends every connection at once.
  package func close() {
    isDraining = true
    for listener in listeners { listener.close() }
    listeners = []
    for connection in connections { connection.close() }
  }

  var isUnderPressure: Bool { connections.count > limits.connectionCountMax / 10 * 9 }

  /// The buffer heads are built in, empty; the caller puts it back into `scratch`.
  func takeScratch() -> [UInt8] {
    var buffer: [UInt8] = []
    swap(&buffer, &scratch)
    buffer.removeAll(keepingCapacity: true)
    return buffer
  }

  /// Makes `standingFields` anew once a second.
  func refreshDate() {
    let now = loop.wallSeconds
    guard now != dateSecond || standingFields.isEmpty else { return }
    dateSecond = now
    standingFields.removeAll(keepingCapacity: true)
    HeadWriter.field(.date, HTTPDate.format(now), to: &standingFields)
    HeadWriter.field(.server, "spate", to: &standingFields)
  }

  func handle(
    _ head: RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, on connection: ServerConnection
  ) {
    statistics.requests.add()
    handler.handle(head, bytes: bytes, body: body, on: connection)
  }

  func bodyByteCountMax(of head: RequestHead, bytes: Span<UInt8>) -> Int {
    handler.bodyByteCountMax(of: head, bytes: bytes)
  }

  func removed(_ connection: ServerConnection) {
    let place = Int(connection.index)
    guard place >= 0 else { return }
    connection.index = -1
    let last = connections.removeLast()
    if last !== connection {
      connections[place] = last
      last.index = Int32(place)
    }
    statistics.connections.add(-1)
    handler.connectionClosed(connection)
    let address = connection.remote.address
    let count = countByAddress[address, default: 1]
    countByAddress[address] = count > 1 ? count - 1 : nil
    if connections.isEmpty, isDraining { finishDraining() }
  }

  private func finishDraining() {
    let done = drained
    drained = nil
    done?()
  }

  private func accepted(_ stream: Stream) {
    let address = stream.remote.address.unmapped
    let connection = ServerConnection(stream, server: self)
    connection.index = Int32(connections.count)
    connections.append(connection)
    let countFromThere = countByAddress[address, default: 0] + 1
    countByAddress[address] = countFromThere
    statistics.accepted.add()
    statistics.connections.add()
    let isOver =
      connections.count > limits.connectionCountMax
      || countFromThere > limits.connectionCountMaxPerAddress
    if isOver {
      statistics.refusals.add()
      connection.refuseBusy()
    } else {
      connection.start()
    }
  }
}
