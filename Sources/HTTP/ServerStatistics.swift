import Synchronization

/// What a server counts, readable from any thread.
package final class ServerStatistics: Sendable {
  package final class Count: Sendable {
    private let count = Atomic<Int>(0)

    package var value: Int { count.load(ordering: .relaxed) }
    func add(_ amount: Int = 1) { count.wrappingAdd(amount, ordering: .relaxed) }
  }

  package let requests = Count()
  /// Bytes of files handed to the kernel: bodies of content responses, without what frames them.
  package let contentBytes = Count()
  /// Responses by the first digit of their status: index 0 is 1xx.
  package let responses = [Count(), Count(), Count(), Count(), Count()]
  /// Connections taken, the refused ones too.
  package let accepted = Count()
  /// Open now.
  package let connections = Count()
  /// Requests that were not HTTP, or above a limit.
  package let malformed = Count()
  /// Connections refused because there were too many.
  package let refusals = Count()
  /// Connections ended because they moved too slowly.
  package let timeouts = Count()

  package init() {}

  /// For handlers that find a request malformed which the parser had to let pass.
  package func countMalformed() { malformed.add() }
}
