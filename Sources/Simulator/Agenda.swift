import Content
import HeapModule
import Swarm

/// What happens in the simulated world.
enum SimulationEvent: Sendable {
  case arrives(Int)
  /// Leaves, is killed or freezes.
  case fails(Int)
  case ticks(Int, version: Int)
  case announces(Announce, from: Int)
  case refers(Int, PackageReferral, interval: Duration)
  case trackerFails(Int)
  /// The origin has asked a peer that others complain of.
  case checked(SourceCheck, SourceCheck.Outcome, epoch: Int)
  case trackerDies
  case trackerReturns
  case follows(Int, server: Int)
  case unfollows(Int, server: Int)
  /// A follower hears what the peer holds, or that it is gone.
  case opens(Int, server: Int)
  case ends(Int, server: Int)
  /// The next followers are told what is new.
  case tells(Int)
  case news(from: Int, NewsFeed.Message)
  /// With a request or a response.
  case newsAside(from: Int, to: Int, NewsFeed.Aside)
  case hears(Int, from: Int, NewsFeed.Aside)
  /// A request reaches its server, unless its connection was closed since.
  case requests(Place, RequestID, PieceRun, isArriving: Bool)
  /// The sender of a piece under receipt may have more of it to pass on.
  case grows(Place, RequestID)
  /// A connection that was idle has its first bytes past the queue of the uplink.
  case flows(Place)
  case shares
  /// A piece may have left: it is looked at.
  case leaves(Place, version: UInt32)
  /// The kernel of a server has taken the rest of a response.
  case wrote(Place, PieceRun, since: Instant)
  /// `byteCount`: what of it the client was not told of as progress.
  case arrivesPiece(
    Int, PieceIndex, RequestID, byteCount: Int, sender: Int, isCorrupt: Bool)
  /// A worker is through with a piece, and found it wrong when there is a culprit.
  case hashed(Int, PieceIndex, RequestID, culprit: Int?)
  case rejects(Int, PieceIndex, RequestID, culprit: Int)
  /// The index's thread takes a turn; the pieces of it are recorded.
  case records(Int)
  case recorded(Int, [IndexTurns.Piece])
  case finishes(Int, RequestID, FetchOutcome)
  /// A turn of a peer's loop for all that waited; its pace for the next second.
  case turns(Int)
  case paces(Int)
  case sweeps

  /// A connection as it was: `epoch` grows when it is closed.
  struct Place: Sendable {
    var connection: Int
    var epoch: UInt32
  }
}

/// What is going to happen, earliest first.
struct Agenda: Sendable {
  /// The heap moves only plain words; what happens is kept at its place.
  private struct Entry: Comparable, Sendable {
    let instant: Instant
    /// Orders equal instants the way they were entered.
    let number: UInt64
    let place: Int32

    static func < (left: Self, right: Self) -> Bool {
      left.instant != right.instant ? left.instant < right.instant : left.number < right.number
    }
  }

  private var heap = Heap<Entry>()
  private var events: [SimulationEvent] = []
  private var freePlaces: [Int32] = []
  private var number: UInt64 = 0

  var count: Int { heap.count }

  mutating func add(_ event: SimulationEvent, at instant: Instant) {
    number += 1
    let place: Int32
    if let free = freePlaces.popLast() {
      place = free
      events[Int(place)] = event
    } else {
      place = Int32(events.count)
      events.append(event)
    }
    heap.insert(Entry(instant: instant, number: number, place: place))
  }

  mutating func next() -> (instant: Instant, event: SimulationEvent)? {
    guard let entry = heap.popMin() else { return nil }
    let event = events[Int(entry.place)]
    // What it carried is not kept until the place is used again.
    events[Int(entry.place)] = .sweeps
    freePlaces.append(entry.place)
    return (entry.instant, event)
  }
}
