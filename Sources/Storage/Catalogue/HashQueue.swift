import DequeModule

/// Which file is hashed next: those somebody waits for, in the order they asked, then the others in
/// the order they were found. Pure.
struct HashQueue {
  struct Job: Hashable, Sendable {
    var path: String
    var byteCount: Int
  }

  private struct Waiting {
    var byteCount: Int
    var isUrgent: Bool
    /// Tells an element of `background` that counts from one left behind by `prioritise`.
    var ticket: Int
  }

  private var waiting: [String: Waiting] = [:]
  private var urgent: [String] = []
  private var background: Deque<(path: String, ticket: Int)> = []
  private var lastTicket = 0
  /// Bytes still to be hashed of the files under way.
  private var running: [String: Int] = [:]
  private(set) var waitingByteCount = 0

  var waitingCount: Int { waiting.count }
  var isIdle: Bool { waiting.isEmpty && running.isEmpty }

  /// A file to be hashed; one that waits already or is under way keeps its place.
  /// - Returns: whether it was added.
  @discardableResult
  mutating func add(_ job: Job) -> Bool {
    guard waiting[job.path] == nil, running[job.path] == nil else { return false }
    lastTicket += 1
    waiting[job.path] = Waiting(byteCount: job.byteCount, isUrgent: false, ticket: lastTicket)
    background.append((job.path, lastTicket))
    waitingByteCount += job.byteCount
    return true
  }

  /// Somebody waits for it: it goes ahead of all that nobody waits for.
  mutating func prioritise(_ path: String) {
    guard let state = waiting[path], !state.isUrgent else { return }
    waiting[path]?.isUrgent = true
    urgent.append(path)
  }

  mutating func remove(_ path: String) {
    guard let state = waiting.removeValue(forKey: path) else { return }
    waitingByteCount -= state.byteCount
    if state.isUrgent { urgent.removeAll { $0 == path } }
  }

  /// The next job, which is under way until `finish`.
  mutating func next() -> Job? {
    if let job = nextUrgent(below: .max) { return job }
    while let (path, ticket) = background.popFirst() {
      if let state = waiting[path], state.ticket == ticket, !state.isUrgent {
        return begin(path, state)
      }
    }
    return nil
  }

  /// The next job that somebody waits for and that is smaller than `byteCount`: worth interrupting
  /// a longer one for.
  mutating func nextUrgent(below byteCount: Int) -> Job? {
    let place = urgent.firstIndex { (waiting[$0]?.byteCount ?? .max) < byteCount }
    guard let place else { return nil }
    let path = urgent.remove(at: place)
    guard let state = waiting[path] else {
      preconditionFailure("an urgent path is waiting")
    }
    return begin(path, state)
  }

  private mutating func begin(_ path: String, _ state: Waiting) -> Job {
    waiting[path] = nil
    waitingByteCount -= state.byteCount
    running[path] = state.byteCount
    return Job(path: path, byteCount: state.byteCount)
  }

  mutating func progressed(_ path: String, remainingByteCount: Int) {
    running[path] = remainingByteCount
  }

  mutating func finish(_ path: String) { running[path] = nil }

  /// How many files go first, and the bytes to be hashed until this one is done, its own included;
  /// nil when it is neither waiting nor under way. For a file that nobody has asked for this is an
  /// estimate from above: some of those counted may be small and come in between.
  func place(of path: String) -> (position: Int, byteCount: Int)? {
    if let remaining = running[path] { return (0, remaining) }
    guard let state = waiting[path] else { return nil }
    if state.isUrgent, let place = urgent.firstIndex(of: path) {
      let ahead = urgent[..<place].reduce(0) { $0 + (waiting[$1]?.byteCount ?? 0) }
      return (place + 1, ahead + state.byteCount)
    }
    let ahead = max(0, waitingByteCount - state.byteCount)
    return (waiting.count, ahead + running.values.reduce(0, +) + state.byteCount)
  }
}
