import Reactor

/// What a stream has only while it sends: an idle one is small without it, and of a thousand busy
/// ones few have it at a time.
final class Output {
  var queue = OutputQueue()
  var fileWait = Stream.FileWait()
}

/// A loop's spare outputs.
final class OutputPool {
  private static let spareCountMax = 256

  private var spares: [Output] = []

  /// The loop's, made when first asked for.
  static func of(_ loop: EventLoop) -> OutputPool {
    loop.attachment(OutputPool.self) { OutputPool() }
  }

  private init() {}

  func take() -> Output { spares.popLast() ?? Output() }

  /// - Parameter output: as good as new, since another stream's bytes come next.
  func giveBack(_ output: Output) {
    precondition(output.queue.isEmpty && output.fileWait.read == nil, "an output in use")
    output.fileWait = Stream.FileWait()
    if spares.count < Self.spareCountMax { spares.append(output) }
  }
}
