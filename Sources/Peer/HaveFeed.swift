import Content
import HTTP
import Posix
import Wire

/// Tells the followers of one package what this node has: a bitmap at first, then frames of what its
/// transfer verified, lost or promises.
final class HaveFeed: BodySource {
  static let followerCountMax = 256
  /// One machine may run many peers, but not take every place.
  static let followerCountMaxPerAddress = 64
  /// A follower that reads too slowly is let go.
  static let queuedByteCountMax = 64 * 1024

  /// How long a promised piece may take.
  static let promiseTerm = Duration.seconds(2)

  private var followers: [ObjectIdentifier: ServerConnection] = [:]
  private let pieceCount: Int

  init(pieceCount: Int) { self.pieceCount = pieceCount }

  var followerCount: Int { followers.count }

  /// Answers a request for the stream.
  func add(_ connection: ServerConnection, held: PieceSet, promised: [PieceRun]) {
    let fromThere = followers.values.count { $0.remote.address == connection.remote.address }
    guard followers.count < Self.followerCountMax, fromThere < Self.followerCountMaxPerAddress
    else {
      return connection.respondText(.serviceUnavailable, "too many follow this package here") {
        HeadWriter.field(.retryAfter, 5, to: &$0)
      }
    }
    connection.startStreaming(.ok, length: nil, source: self) {
      HeadWriter.field(.contentType, ContentType.message, to: &$0)
    }
    followers[ObjectIdentifier(connection)] = connection
    var opening = HaveFrame.preamble + HaveFrame.bitmap(held).encode()
    if !promised.isEmpty {
      opening += HaveFrame.promised(promised, within: Self.promiseTerm).encode()
    }
    connection.append(opening)
  }

  func tell(_ frame: HaveFrame) {
    guard !followers.isEmpty else { return }
    let bytes = frame.encode()
    for follower in Array(followers.values) {
      if follower.queuedByteCount > Self.queuedByteCountMax {
        follower.close()
      } else {
        follower.append(bytes)
      }
    }
  }

  /// The package is no longer served.
  func end() {
    for follower in Array(followers.values) { follower.endStreaming() }
  }

  func bodyDrained(on connection: ServerConnection) {}

  func bodyClosed(on connection: ServerConnection) {
    followers[ObjectIdentifier(connection)] = nil
  }
}
