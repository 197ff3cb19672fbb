import Foundation
import Glibc
import Synchronization

/// A TCP relay that passes what clients send, and of what the server sends only as much as it is
/// allowed to: holds a download at a place in the middle without any timing.
final class Relay: Sendable {
  let port: UInt16
  private let listener: Int32
  private let target: UInt16
  private let state: Mutex<State>

  private struct State {
    var allowance: Int
    var passedByteCount = 0
    var isClosed = false
    var sockets: [Int32] = []
  }

  /// Lets `allowance` bytes of answers pass, over all connections together.
  init(to target: UInt16, allowance: Int) throws {
    (listener, port) = try listenOnLoopback()
    self.target = target
    state = Mutex(State(allowance: allowance))
    Thread.detachNewThread { self.accept() }
  }

  /// Lets everything pass from now on.
  func open() { state.withLock { $0.allowance = .max } }

  /// Bytes of answers that have passed.
  var passedByteCount: Int { state.withLock { $0.passedByteCount } }

  /// Breaks every connection and takes no more.
  func close() {
    state.withLock { state in
      state.isClosed = true
      for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
    }
    shutdown(listener, Int32(SHUT_RDWR))
  }

  private func accept() {
    while true {
      let client = Glibc.accept(listener, nil, nil)
      guard client >= 0 else { break }
      _ = fcntl(client, F_SETFD, FD_CLOEXEC)
      let server = dial()
      let isTaken = state.withLock { state in
        guard !state.isClosed, server >= 0 else { return false }
        state.sockets += [client, server]
        return true
      }
      guard isTaken else {
        Glibc.close(client)
        continue
      }
      Thread.detachNewThread { self.pass(from: client, to: server, isAnswer: false) }
      Thread.detachNewThread { self.pass(from: server, to: client, isAnswer: true) }
    }
    Glibc.close(listener)
  }

  private func dial() -> Int32 {
    let socket = Glibc.socket(
      AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = target.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    return code == 0 ? socket : -1
  }

  /// The sockets stay open, as numbers, until the test process ends: there are few.
  private func pass(from source: Int32, to sink: Int32, isAnswer: Bool) {
    var window = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      // Allowance is taken only for bytes that are there: an idle connection must not hold any.
      var readiness = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
      guard poll(&readiness, 1, -1) > 0 else { break }
      let wanted = isAnswer ? takeAllowance(window.count) : window.count
      let count = wanted > 0 ? recv(source, &window, wanted, 0) : 0
      if isAnswer { account(passed: max(count, 0), of: wanted) }
      guard count > 0, send(window, count, to: sink) else { break }
    }
    shutdown(sink, Int32(SHUT_WR))
    shutdown(source, Int32(SHUT_RD))
  }

  /// Waits until something may pass and takes as much of it, at most `most`; 0 when closed.
  private func takeAllowance(_ most: Int) -> Int {
    while true {
      let (isClosed, taken) = state.withLock { state in
        let taken = state.isClosed ? 0 : min(most, state.allowance)
        if state.allowance != .max { state.allowance -= taken }
        return (state.isClosed, taken)
      }
      if isClosed || taken > 0 { return taken }
      usleep(2_000)
    }
  }

  /// Gives back what was taken and did not pass.
  private func account(passed: Int, of taken: Int) {
    state.withLock { state in
      state.passedByteCount += passed
      if state.allowance != .max { state.allowance += taken - passed }
    }
  }

  private func send(_ bytes: [UInt8], _ count: Int, to sink: Int32) -> Bool {
    var sent = 0
    while sent < count {
      let part = bytes.withUnsafeBytes {
        Glibc.send(sink, $0.baseAddress! + sent, count - sent, Int32(MSG_NOSIGNAL))
      }
      guard part > 0 else { return false }
      sent += part
    }
    return true
  }
}

/// A listening socket on a port that the system picks.
func listenOnLoopback() throws -> (socket: Int32, port: UInt16) {
  let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let isBound = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(socket, $0, length) == 0 && listen(socket, 64) == 0
        && getsockname(socket, $0, &length) == 0
    }
  }
  guard isBound else { throw Failure("cannot listen") }
  return (socket, UInt16(bigEndian: address.sin_port))
}
