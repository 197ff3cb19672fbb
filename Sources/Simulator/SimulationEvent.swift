import Content
import HeapModule
import Swarm

/// What happens in the simulated world, and when.
struct SimulationEvent: Comparable, Sendable {
  enum Kind: Sendable {
    case arrives(Int)
    /// Leaves, is killed or freezes.
    case fails(Int)
    /// An event for a peer's download.
    case tells(Int, Download.Event)
    case ticks(Int, version: Int)
    case announces(Announce, from: Int)
    case checked(SourceCheck, SourceCheck.Outcome)
    case follows(Int, server: Int)
    case unfollows(Int, server: Int)
    case requests(Int, server: Int, RequestID, PieceRun)
    case cancels(Int, server: Int, RequestID)
    case shares
    case completes(version: Int)
    case sweeps
  }

  let instant: Instant
  /// Orders equal instants the way they were entered.
  let number: UInt64
  /// Where its kind is kept: the heap moves only plain words.
  let place: Int

  static func < (left: Self, right: Self) -> Bool {
    (left.instant, left.number) < (right.instant, right.number)
  }
}

/// What is going to happen, earliest first.
struct Agenda {
  private var heap = Heap<SimulationEvent>()
  private var kinds: [SimulationEvent.Kind?] = []
  private var freePlaces: [Int] = []
  private var number: UInt64 = 0

  var count: Int { heap.count }

  mutating func add(_ kind: SimulationEvent.Kind, at instant: Instant) {
    number += 1
    let place = freePlaces.popLast() ?? kinds.count
    if place == kinds.count { kinds.append(kind) } else { kinds[place] = kind }
    heap.insert(SimulationEvent(instant: instant, number: number, place: place))
  }

  mutating func next() -> (instant: Instant, kind: SimulationEvent.Kind)? {
    guard let event = heap.popMin(), let kind = kinds[event.place] else { return nil }
    kinds[event.place] = nil
    freePlaces.append(event.place)
    return (event.instant, kind)
  }
}

/// One machine of the swarm.
struct PeerActor: Sendable {
  enum Life: Hashable, Sendable {
    case absent
    case up
    case frozen
    case gone
  }

  let id: PeerID
  let plan: SimulatedPeer
  var download: Download
  var gate: UploadGate
  var rng: SeededGenerator
  var life = Life.absent
  var tickVersion = 0
  var followers: [Int] = []
  var doneAt: Instant?

  var isLiar: Bool { plan.conduct == .lying }

  /// It is to finish: nothing goes wrong with it.
  var isExpected: Bool { plan.conduct == .honest }
}

/// FNV-1a, 64 bits, over whole words.
struct TraceHash: Sendable {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ words: UInt64...) {
    for word in words { value = (value ^ word) &* 0x0000_0100_0000_01b3 }
  }

  mutating func add(_ run: PieceRun) { add(UInt64(run.first.rawValue), UInt64(run.count)) }
}
