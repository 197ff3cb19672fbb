import Content
import HTTP
import Posix
import Reactor
import Transport
import Wire

/// A response that leaves bit by bit, as the operator's rate allows.
final class PacedBody: BodySource {
  private unowned let owner: OriginLoop
  private let pace: OriginPace
  private let connection: ServerConnection
  private let file: OpenFile
  private let observer: (any ResponseObserver)?
  private var parts: ArraySlice<ContentLayout.Part>
  /// Of the part that is first now.
  private var offset = 0
  private var isReserved = false
  private var appendedByteCount = 0
  private var drainedByteCount = 0
  private let byteCount: Int
  private var timer: Timer?

  init(
    _ owner: OriginLoop, _ pace: OriginPace, _ layout: ContentLayout, of file: OpenFile,
    on connection: ServerConnection, observer: (any ResponseObserver)?
  ) {
    self.owner = owner
    self.pace = pace
    self.connection = connection
    self.file = file
    self.observer = observer
    parts = layout.parts[...]
    byteCount = layout.byteCount ?? 0
  }

  func start(_ layout: ContentLayout) {
    owner.pacedBodies[ObjectIdentifier(self)] = self
    timer = Timer(owner.loop) { [unowned self] in self.sendSome() }
    connection.startStreaming(layout.status, length: byteCount, source: self) {
      layout.appendFields(to: &$0)
    }
    if connection.isOpen { sendSome() }
  }

  private func sendSome() {
    guard let part = parts.first else { return }
    switch part {
    case .bytes(let bytes):
      parts.removeFirst()
      connection.append(bytes)
      appendedByteCount += bytes.count
    case .range(let range):
      let wanted = min(pace.chunkByteCount, range.count - offset)
      if !isReserved {
        isReserved = true
        let delay = pace.reserve(byteCount: wanted, now: owner.loop.now)
        if delay > .zero { return timer?.schedule(after: delay) ?? () }
      }
      isReserved = false
      guard let slice = ByteRange(offset: range.offset + offset, count: wanted) else { return }
      offset += wanted
      if offset == range.count {
        parts.removeFirst()
        offset = 0
      }
      appendedByteCount += wanted
      connection.append(FileSlice(file: file, range: slice), isContent: true)
    }
  }

  func bodyDrained(on connection: ServerConnection) {
    drainedByteCount = appendedByteCount
    if parts.isEmpty { connection.endStreaming() } else if !isReserved { sendSome() }
  }

  func bodyClosed(on connection: ServerConnection) {
    timer?.cancel()
    // Ended by itself, or broken off: then what was not through may not have left.
    let sent = parts.isEmpty && connection.isOpen ? byteCount : drainedByteCount
    observer?.responseEnded(on: connection, sentByteCount: sent, isComplete: sent == byteCount)
    owner.pacedBodies[ObjectIdentifier(self)] = nil
    owner.loop.bury(self)
  }
}
