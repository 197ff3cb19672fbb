import Content
import HTTP
import Logging
import Reactor
import Storage
import Swarm
import Wire

/// This node's reports to the tracker: gathers those of one turn into one announce, and gives each
/// transfer its part of the answer.
final class TrackerLink {
  /// Reports in one announce: with whole bitmaps they fit the tracker's limit.
  private static let reportCountMax = 32
  private static let silenceMax = Duration.seconds(2)

  private unowned let node: Node
  private var waiting: [(report: PackageReport, transfer: Transfer)] = []
  private var isScheduled = false

  init(_ node: Node) { self.node = node }

  /// The transfer hears `.referred` or `.trackerFailed`, once.
  func send(_ report: PackageReport, for transfer: Transfer) {
    waiting.append((report, transfer))
    guard !isScheduled else { return }
    isScheduled = true
    node.loop.atEndOfTurn(once: { [weak self] in self?.flush() })
  }

  /// Says goodbye, so that nobody is referred here any more.
  func leave(_ done: @escaping () -> Void) {
    let goodbye = node.announce(reports: [], isLeaving: true)
    post(goodbye.encode()) { _ in done() }
  }

  private func flush() {
    isScheduled = false
    while !waiting.isEmpty {
      let some = Array(waiting.prefix(Self.reportCountMax))
      waiting.removeFirst(some.count)
      send(some)
    }
  }

  /// In as few announces as the tracker's limit allows.
  private func send(_ some: [(report: PackageReport, transfer: Transfer)]) {
    let body = node.announce(reports: some.map(\.report), isLeaving: false).encode()
    if body.count > Announce.bodyByteCountMax, some.count > 1 {
      send(Array(some[..<(some.count / 2)]))
      return send(Array(some[(some.count / 2)...]))
    }
    post(body) { referral in
      for (_, transfer) in some {
        if let part = referral?.packages.first(where: { $0.package == transfer.stored.id }),
          let interval = referral?.interval
        {
          transfer.referred(part, interval: interval)
        } else {
          transfer.feed(.trackerFailed)
        }
      }
    }
  }

  private func post(
    _ body: [UInt8], isRepeated: Bool = false, _ completion: @escaping (Referral?) -> Void
  ) {
    let connection = node.controlConnection()
    let receiver = WholeResponse(byteCountMax: Referral.byteCountMax) { [weak self, node] result in
      switch result {
      case .success(let message) where message.status == .ok:
        completion(Self.decode(message.body))
      case .success(let message):
        node.log.debug("the tracker refused an announce: \(message.status)")
        completion(nil)
      case .failure(.connection) where connection.hasAnswered && !isRepeated:
        // Most likely the other side had just ended a connection that was idle.
        self?.post(body, isRepeated: true, completion)
      case .failure(let failure):
        node.log.debug("the tracker did not answer: \(failure)")
        node.origin.advance(from: connection.endpoint)
        completion(nil)
      }
    }
    connection.send(
      .post, "/-/announce", body: body, silenceMax: Self.silenceMax, receiver: receiver
    ) { HeadWriter.field(.contentType, ContentType.message, to: &$0) }
  }

  private static func decode(_ body: [UInt8]) -> Referral? {
    do throws(WireError) {
      return try Referral.decode(body.span)
    } catch {
      return nil
    }
  }
}
