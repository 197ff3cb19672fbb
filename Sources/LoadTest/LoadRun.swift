import Content
import HTTP
import Posix
import Reactor
import Transport
import Wire

/// Asks one URL over and over on many kept-alive connections, one request at a time on each, and
/// measures every response. One loop, one core.
package final class LoadRun {
  private let configuration: LoadConfiguration
  fileprivate let loop: EventLoop
  private let endpoint: Endpoint
  private let tls: TLSClient?
  private var clients: [LoadClient] = []
  private var report = LoadReport()
  private var started = Instant.zero
  private var sentCount = 0
  private var isOver = false
  private var deadline: Timer?

  package init(_ configuration: LoadConfiguration) throws(LoadError) {
    self.configuration = configuration
    do throws(SystemError) {
      loop = try EventLoop()
      _ = try Process.setOpenFileLimit()
    } catch {
      throw LoadError("cannot start: \(error)")
    }
    do throws(TLSError) {
      tls =
        configuration.url.isSecure
        ? try TLSClient(authoritiesPath: configuration.authorities) : nil
    } catch {
      throw LoadError("\(error)")
    }
    do throws(Resolver.Failure) {
      endpoint = try Resolver.resolve(
        host: configuration.url.host, port: configuration.url.port)[0]
    } catch {
      throw LoadError("\(error)")
    }
  }

  /// Blocks until the time is over or all requests are answered.
  package func run() throws(LoadError) -> LoadReport {
    started = loop.now
    for _ in 0..<configuration.connectionCount {
      let client = LoadClient(self)
      clients.append(client)
      client.ask()
    }
    let deadline = Timer(loop) { [unowned self] in self.finish() }
    deadline.schedule(after: configuration.duration)
    self.deadline = deadline
    loop.run()
    guard report.responseCount > 0 else {
      throw LoadError("\(configuration.url): no response came")
    }
    return report
  }

  fileprivate func connect() -> ClientConnection {
    ClientConnection(loop, to: endpoint, host: configuration.url.authority, tls: tls)
  }

  fileprivate var target: String { configuration.url.target }
  fileprivate var now: Instant { Clock.now() }

  /// False when no further request is to be sent.
  fileprivate func mayAsk() -> Bool {
    guard !isOver, sentCount < configuration.requestCountMax ?? .max else { return false }
    sentCount += 1
    return true
  }

  fileprivate func answered(_ status: Status, byteCount: Int, latency: Duration) {
    guard !isOver else { return }
    report.responseCount += 1
    report.bodyByteCount += byteCount
    report.countByStatusClass[Int(status.code) / 100, default: 0] += 1
    report.add(latency: latency)
    finishIfAllAnswered()
  }

  fileprivate func failed() {
    guard !isOver else { return }
    report.failureCount += 1
    finishIfAllAnswered()
  }

  private func finishIfAllAnswered() {
    if let most = configuration.requestCountMax,
      report.responseCount + report.failureCount >= most
    {
      finish()
    }
  }

  private func finish() {
    guard !isOver else { return }
    isOver = true
    report.duration = loop.now - started
    for client in clients { client.close() }
    loop.stop()
  }
}

/// One connection's worth of load.
private final class LoadClient: ResponseReceiver {
  private static let silenceMax = Duration.seconds(30)
  /// A server that fails at once is not asked again at once.
  private static let pauseAfterFailure = Duration.milliseconds(100)

  private unowned let run: LoadRun
  private var connection: ClientConnection?
  private var asked = Instant.zero
  private var status = Status.ok
  private var byteCount = 0
  private lazy var retry = Timer(run.loop) { [unowned self] in ask() }

  init(_ run: LoadRun) { self.run = run }

  func ask() {
    guard run.mayAsk() else { return }
    let usable = connection.flatMap { $0.isUsable ? $0 : nil } ?? run.connect()
    connection = usable
    byteCount = 0
    asked = run.now
    usable.send(.get, run.target, silenceMax: Self.silenceMax, receiver: self)
  }

  func close() {
    retry.cancel()
    connection?.close()
  }

  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection) {
    status = head.status
  }

  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {
    byteCount += bytes.count
  }

  func responseEnded(on connection: ClientConnection) {
    run.answered(status, byteCount: byteCount, latency: run.now - asked)
    ask()
  }

  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) {
    run.failed()
    retry.schedule(after: Self.pauseAfterFailure)
  }
}
