import Content
import HTTP
import Reactor
import Wire

/// What asking the origin for a manifest can come to.
enum ManifestAnswer {
  case manifest(Manifest)
  /// The origin has the file and still computes its digests.
  case notReady(retryAfter: Duration)
  case notFound
  /// A server that answers HTTP but is not Spate.
  case notSpate
  case refused(Status)
  case unreachable(String)
  case malformed(String)
}

/// Asks the origin what its names stand for; one question at a time for each name, however many
/// wait for the answer.
final class ManifestLoader {
  private static let silenceMax = Duration.seconds(5)
  private static let byteCountMax = 64 * 1024

  private unowned let node: Node
  private let patience: Duration
  private var waiting: [String: [(ManifestAnswer) -> Void]] = [:]

  /// - Parameter patience: how long an origin that does not answer is asked again; one that cannot
  ///   be reached at all is not.
  init(_ node: Node, patience: Duration = .seconds(60)) {
    self.node = node
    self.patience = patience
  }

  /// - Parameter path: percent-encoded, from `/`, without a query.
  func load(_ path: String, _ completion: @escaping (ManifestAnswer) -> Void) {
    if waiting[path] != nil {
      waiting[path]?.append(completion)
      return
    }
    waiting[path] = [completion]
    ask(path, RetrySchedule(now: node.loop.now, patience: patience))
  }

  private func ask(_ path: String, _ schedule: RetrySchedule) {
    let connection = node.controlConnection()
    let receiver = WholeResponse(byteCountMax: Self.byteCountMax) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let message):
        self.answer(path, Self.read(message))
      case .failure(let failure):
        let isAgain = self.node.retry(schedule, after: failure, on: connection) { [weak self] in
          self?.ask(path, $0)
        }
        if !isAgain { self.answer(path, .unreachable("\(failure)")) }
      }
    }
    connection.send(
      .get, "/-/manifest\(path)", silenceMax: Self.silenceMax, receiver: receiver)
  }

  private func answer(_ path: String, _ answer: ManifestAnswer) {
    for completion in waiting.removeValue(forKey: path) ?? [] { completion(answer) }
  }

  private static func read(_ message: WholeResponse.Message) -> ManifestAnswer {
    guard message.isFromSpate else { return .notSpate }
    switch message.status {
    case .ok:
      do throws(WireError) {
        return .manifest(try Manifest.parse(message.body.span))
      } catch {
        return .malformed(error.reason)
      }
    case .notFound: return .notFound
    case .serviceUnavailable: return .notReady(retryAfter: message.retryAfter ?? .seconds(1))
    default: return .refused(message.status)
    }
  }
}
