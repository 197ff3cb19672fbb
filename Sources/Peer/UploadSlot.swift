import Content
import HTTP
import Operations
import Reactor
import Swarm

/// The upload slot of one response: given back when its bytes have left, or lent to others before
/// that when its client takes none.
final class UploadSlot {
  private static let stillCountMax = 2

  private unowned let node: Node
  /// Nil for a client without a name.
  private let asker: PeerID?
  /// What is sent comes no faster than this node receives it.
  private let isPassedOn: Bool
  private let started: Instant
  /// Until the response is over. A weak reference would make every retain of it a slow one.
  private(set) var connection: ServerConnection?
  private let firstByte: Int
  /// What its connection had sent when the node last looked, and how often that was the same.
  private var seenByteCount = 0
  private var stillCount = 0
  private var isHeld = true

  /// Of a slot that the node's gate has just granted.
  init(
    grantedTo asker: PeerID?, isPassedOn: Bool, by node: Node, on connection: ServerConnection
  ) {
    self.asker = asker
    self.isPassedOn = isPassedOn
    self.node = node
    self.connection = connection
    started = node.loop.now
    firstByte = connection.sentByteCount
    node.counters.uploads.add(1)
    node.runningUploads[ObjectIdentifier(self)] = self
  }

  /// The response is over.
  func end(sentByteCount: Int) {
    node.runningUploads[ObjectIdentifier(self)] = nil
    connection = nil
    giveBack(byteCount: sentByteCount)
  }

  private func giveBack(byteCount: Int) {
    guard isHeld else { return }
    isHeld = false
    node.counters.uploads.add(-1)
    node.uploads.release(
      peer: asker, byteCount: byteCount, duration: node.loop.now - started,
      isPassedOn: isPassedOn, now: node.loop.now)
  }

  /// Looks at each sweep of the node whether the client still takes bytes. One that has frozen or
  /// vanished keeps its response for a minute, but not the slot: a few of them would close a peer.
  /// Once is not enough, since it may be this machine that stood still. Who waits for bytes that
  /// this node has not received is not still.
  func lapseIfStill() {
    guard isHeld, let connection else { return }
    let isStill = connection.isBlocked && connection.sentByteCount == seenByteCount
    seenByteCount = connection.sentByteCount
    stillCount = isStill ? stillCount + 1 : 0
    guard stillCount >= Self.stillCountMax else { return }
    giveBack(byteCount: seenByteCount - firstByte)
  }
}
