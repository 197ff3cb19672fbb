package import Posix

/// Runs its body on a loop each time the process gets a signal. One per signal number in a process.
package final class Signal: WatchHandler {
  private let source: SignalDescriptor
  private let body: () -> Void
  private var watch: Watch?

  /// - Parameter number: one of `SignalDescriptor`'s.
  package init(
    _ loop: EventLoop, _ number: Int32, _ body: @escaping () -> Void
  ) throws(SystemError) {
    source = try SignalDescriptor(number)
    self.body = body
    watch = Watch(loop, source.rawDescriptor, .read, handler: self)
    try watch?.turnOnOrThrow()
  }

  package func watchIsReady(_ direction: Watch.Direction) {
    source.clear()
    body()
  }
}
