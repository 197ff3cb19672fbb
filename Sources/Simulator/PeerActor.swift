import Content
import Swarm

/// One machine of the swarm.
struct PeerActor: Sendable {
  enum Life: Hashable, Sendable {
    case absent
    case up
    case frozen
    case gone
  }

  /// The way to one server: a connection that is kept, with requests on it or not.
  struct Contact: Sendable {
    let server: Int32
    let connection: Int32
  }

  let id: PeerID
  let plan: SimulatedPeer
  var download: Download
  var gate: UploadGate
  var rng: SeededGenerator
  var life = Life.absent
  var tickVersion = 0
  /// Whose have-stream from here is open.
  var feed = NewsFeed()
  /// When its next turn will be taken.
  var plannedNews: Instant?
  var pace = CrowdPace()
  var turns = LoopTurns()
  var index: IndexTurns
  var contacts: [Contact] = []
  /// Connections on which it is the server.
  var served: [Int32] = []
  /// Fetches that have not ended, and the connections they are on.
  var requests: [(id: RequestID, connection: Int32)] = []
  /// Counted beside the gate, to check it.
  var uploadCount = 0
  /// What this world has proven to be right here, to check what is served.
  var proven: PieceSet
  /// The connection it announces on, at the origin's end.
  var announceContact = OriginContact()
  var startedAt: Instant = .zero
  var frozenAt: Instant = .zero
  var doneAt: Instant?
  var hasGivenUp = false
  var verifiedAt: Instant = .zero
  var longestStall: Duration = .zero

  var isLiar: Bool { plan.conduct == .lying }

  var isExpected: Bool { plan.isExpected }
}

/// What a client asks of a server, in order.
struct Connection: Sendable {
  struct Queued: Sendable {
    var id: RequestID
    var run: PieceRun
    /// The client takes it while its server still receives it.
    var isArriving = false
    /// The client no longer wants it and reads it to its end.
    var isDiscarded = false
  }

  struct Response: Sendable {
    var id: RequestID
    var run: PieceRun
    /// Anything but `complete` is a refusal without a body.
    var outcome = FetchOutcome.complete
    var start: Instant
    /// The piece that is being sent.
    var next: Int
    var sentByteCount = 0
    /// What the sender's kernel takes of it.
    var bufferByteCount = 0
    /// All that is left is in the sender's kernel; its upload slot is free again.
    var isWritten = false
    var isDiscarded: Bool
    /// The tracker was told that it does not move.
    var isStalled = false
    /// Its piece is passed on while its server receives it.
    var isArriving = false

    var isOver: Bool { outcome != .complete || next >= run.end }
  }

  let client: Int
  let server: Int
  var epoch: UInt32 = 0
  /// What its sender's kernel takes before it has left.
  var bufferByteCount = 0
  /// Nothing was sent on it since it was made.
  var isCold = true
  /// Requests the server has not read.
  var waiting: [Queued] = []
  /// Requests it has, the first being sent.
  var responses: [Response] = []
  /// Cancelled while they were on their way to the server.
  var cancelled: [RequestID] = []
  /// What its client waits for.
  var outstandingCount = 0
  /// Its place in the sharing of the links; nil while nothing flows.
  var flow: Int?
  var isStarting = false
  /// Bytes left of the piece being sent, at `advancedAt`.
  var left = 0.0
  /// Bytes of it that its sender has not received and checked itself.
  var heldBack = 0.0
  var rate = 0.0
  var advancedAt: Instant = .zero
  /// When the piece is next looked at.
  var dueAt: Instant?
  var version: UInt32 = 0
  /// At the origin's end.
  var contact = OriginContact()
  /// Since the client last heard of progress.
  var movedByteCount = 0.0

  init(client: Int, server: Int) {
    self.client = client
    self.server = server
  }
}

/// FNV-1a, 64 bits, over whole words.
struct TraceHash: Sendable {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ words: UInt64...) {
    for word in words { value = (value ^ word) &* 0x0000_0100_0000_01b3 }
  }

  mutating func add(_ run: PieceRun) { add(UInt64(run.first.rawValue), UInt64(run.count)) }
}
