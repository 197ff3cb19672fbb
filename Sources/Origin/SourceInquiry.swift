import Content
import Digests
import HTTP
import Logging
import Reactor
import Storage
import Swarm
import Synchronization
import Transport
import Wire

/// What became of a check, on its way from a worker to the loop.
struct InquiryAnswer: Sendable {
  let check: SourceCheck
  let outcome: SourceCheck.Outcome
}

/// Asks a peer that others complain of for one piece, and finds whether it is right. The connection
/// goes to where the peer's own announces came from.
final class SourceInquiry: ResponseReceiver {
  /// A silent peer is not waited for longer.
  private static let silenceMax = Duration.seconds(2)
  /// Larger pieces are not asked for: those of packages beyond 64 GiB.
  private static let pieceByteCountMax = 8 << 20
  /// One at its upload limit is asked again for a second: in a crowd all are, the honest and the
  /// liars, and who was not heard is judged by the word of others.
  private static let refusalCountMax = 10
  private static let refusalPause = Duration.milliseconds(100)

  let check: SourceCheck
  private let found: Catalogue.Found
  private let range: ByteRange
  private unowned let owner: OriginLoop
  private var body: [UInt8] = []
  private var isAccepted = false
  private var hasBegun = false
  private var isRefused = false
  private var refusalCount = 0
  private var pause: Timer?
  private var connection: ClientConnection?

  /// Nil when the piece is not one that can be asked for.
  init?(_ owner: OriginLoop, _ check: SourceCheck, _ found: Catalogue.Found) {
    let geometry = found.entry.manifest.geometry
    guard check.piece.rawValue < geometry.pieceCount else { return nil }
    range = geometry.byteRange(of: check.piece)
    guard range.count <= Self.pieceByteCountMax else { return nil }
    self.owner = owner
    self.check = check
    self.found = found
  }

  func begin() {
    let fingerprint =
      check.speaksTLS ? TLSFingerprint(high: check.peer.high, low: check.peer.low) : nil
    let connection = ClientConnection(
      owner.loop, to: check.endpoint, host: "\(check.endpoint)",
      tls: check.speaksTLS ? owner.state.peerTLS : nil, expecting: fingerprint)
    self.connection = connection
    connection.send(
      .get, "/-/package/\(check.package.hex)", silenceMax: Self.silenceMax, receiver: self
    ) { HeadWriter.range(self.range, to: &$0) }
  }

  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection) {
    hasBegun = true
    isRefused = head.status == .serviceUnavailable && refusalCount < Self.refusalCountMax
    isAccepted =
      (head.status == .partialContent || head.status == .ok) && head.contentLength == range.count
    if isAccepted { body.reserveCapacity(range.count) }
  }

  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {
    guard isAccepted, body.count + bytes.count <= range.count else {
      isAccepted = false
      return connection.close()
    }
    body += bytes
  }

  func responseEnded(on connection: ClientConnection) {
    guard isAccepted, body.count == range.count else { return end(.unanswered) }
    let (check, body, entry) = (check, body, found.entry)
    owner.compute {
      Self.compare(body, check, entry)
    } whenRefused: {
      self.end(.unanswered)
    }
    connection.close()
    self.connection = nil
  }

  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) {
    switch failure {
    case .malformed: end(.unanswered)
    case .connection, .unreachable, .timedOut, .cancelled:
      end(hasBegun ? .unanswered : .unreachable)
    }
  }

  private func end(_ outcome: SourceCheck.Outcome) {
    connection?.close()
    connection = nil
    guard !isRefused else { return askAgain() }
    owner.learned(InquiryAnswer(check: check, outcome: outcome))
  }

  private func askAgain() {
    (isRefused, hasBegun) = (false, false)
    refusalCount += 1
    pause = Timer(owner.loop) { [unowned self] in self.begin() }
    pause?.schedule(after: Self.refusalPause)
  }

  /// On a worker.
  private static func compare(
    _ body: [UInt8], _ check: SourceCheck, _ entry: CatalogueEntry
  ) -> InquiryAnswer {
    let leaves = body.withUnsafeBytes { TreeHash.leaves(of: $0) }
    let root = TreeHash.pieceRoot(
      leaves: leaves, ofPiece: check.piece, geometry: entry.manifest.geometry)
    let isRight = root == entry.pieceLayer[check.piece.rawValue]
    return InquiryAnswer(check: check, outcome: isRight ? .right : .wrong)
  }
}

/// Questions to peers that others complain of.
extension OriginLoop {
  /// Begins what the tracker wants asked.
  func beginInquiries() {
    while let check = state.tracker.withLock({ $0.takeCheck() }) {
      guard !state.isDraining.load(ordering: .relaxed),
        let found = state.catalogue.package(check.package),
        let inquiry = SourceInquiry(self, check, found)
      else {
        tell(InquiryAnswer(check: check, outcome: .unanswered))
        continue
      }
      inquiries[ObjectIdentifier(inquiry)] = inquiry
      inquiry.begin()
    }
  }

  func compute(
    _ work: @escaping @Sendable () -> InquiryAnswer, whenRefused: () -> Void
  ) {
    guard let mailbox = inquiryMailbox,
      state.workers.submit({ mailbox.post(work()) })
    else { return whenRefused() }
  }

  func learned(_ answer: InquiryAnswer) {
    if let (key, inquiry) = inquiries.first(where: { $0.value.check == answer.check }) {
      inquiries[key] = nil
      loop.bury(inquiry)
    }
    if answer.outcome == .wrong {
      log.warning(
        "a peer sends wrong bytes: nobody is referred to it now",
        metadata: ["peer": "\(answer.check.peer)", "address": "\(answer.check.endpoint)"])
    }
    tell(answer)
    beginInquiries()
  }

  private func tell(_ answer: InquiryAnswer) {
    let now = loop.now
    state.tracker.withLock { $0.checked(answer.check, answer.outcome, now: now) }
  }
}
