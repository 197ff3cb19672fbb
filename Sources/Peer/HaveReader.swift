import Content
import HTTP
import Swarm
import Wire

/// Follows one neighbour's have-stream for one package.
final class HaveReader: ResponseReceiver {
  let peer: PeerID
  let connection: ClientConnection

  private unowned let transfer: Transfer
  private var decoder: HaveDecoder
  private var isAccepted = false
  /// It has told what it holds.
  private(set) var hasOpened = false
  private var isRefused = false
  private var isOver = false

  init(_ peer: PeerID, on connection: ClientConnection, for transfer: Transfer) {
    self.peer = peer
    self.connection = connection
    self.transfer = transfer
    decoder = HaveDecoder(pieceCount: transfer.geometry.pieceCount)
  }

  func cancel() {
    isOver = true
    connection.close()
  }

  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection) {
    isAccepted = head.status == .ok
    isRefused = !isAccepted
  }

  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {
    guard isAccepted, !isOver else { return }
    do throws(WireError) {
      var frames: [HaveFrame] = []
      try decoder.decode(bytes.bindMemory(to: UInt8.self).span, into: &frames)
      for frame in frames {
        switch frame {
        case .bitmap(let held):
          hasOpened = true
          transfer.feed(.heldBy(peer, held))
        case .gained(let runs): transfer.feed(.gained(peer, runs))
        case .evicted(let runs): transfer.feed(.lost(peer, runs))
        case .promised(let runs, _): transfer.feed(.promised(peer, runs))
        case .keepAlive: break
        }
        if isOver { return }
      }
    } catch {
      connection.close()
    }
  }

  func responseEnded(on connection: ClientConnection) { end() }

  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) { end() }

  private func end() {
    guard !isOver else { return }
    isOver = true
    transfer.followingEnded(self, isRefused: isRefused)
  }
}
