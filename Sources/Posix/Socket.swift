import CLinux
package import Content

/// What `Socket.accept` came to.
package enum AcceptOutcome: ~Copyable {
  case accepted(Socket, from: Endpoint)
  case wouldBlock
  /// Taken from the queue but dead already, or of a family we do not speak: go on.
  case lost
  case failed(SystemError)
}

/// A non-blocking TCP socket. It sends without ever raising SIGPIPE.
package struct Socket: ~Copyable, Sendable {
  private var descriptor: FileDescriptor

  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  /// A socket that was never opened, for a connection that failed at once.
  package static func closed() -> Socket { Socket(.closed()) }

  package var rawDescriptor: Int32 { descriptor.rawValue }
  package var isOpen: Bool { descriptor.isOpen }
  package mutating func close() { descriptor.close() }

  private static func make(for endpoint: Endpoint) throws(SystemError) -> Socket {
    let raw = try check("socket") { spate_stream_socket(endpoint.domain) }
    return Socket(FileDescriptor(owning: Int32(raw)))
  }

  /// A socket that listens; port 0 lets the kernel choose. A version 6 socket takes version 6 only,
  /// but for the unspecified address `::`: that takes both, and where the machine has no version 6,
  /// version 4.
  package static func listening(
    on endpoint: Endpoint, sharesPort: Bool, backlog: Int32 = 4096
  ) throws(SystemError) -> Socket {
    do {
      return try listeningExactly(on: endpoint, sharesPort: sharesPort, backlog: backlog)
    } catch  where error.isAddressUnavailable && endpoint.address == .v6(0, 0) {
      let fallback = Endpoint(address: .v4(0), port: endpoint.port)
      return try listeningExactly(on: fallback, sharesPort: sharesPort, backlog: backlog)
    }
  }

  private static func listeningExactly(
    on endpoint: Endpoint, sharesPort: Bool, backlog: Int32
  ) throws(SystemError) -> Socket {
    let socket = try make(for: endpoint)
    try socket.set(SOL_SOCKET, SO_REUSEADDR, to: 1)
    if sharesPort { try socket.set(SOL_SOCKET, SO_REUSEPORT, to: 1) }
    if case .v6 = endpoint.address {
      let takesBoth = endpoint.address == .v6(0, 0)
      try socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: takesBoth ? 0 : 1)
    }
    try check("bind") {
      endpoint.withSocketAddress { CLinux.bind(socket.rawDescriptor, $0, $1) }
    }
    try check("listen") { CLinux.listen(socket.rawDescriptor, backlog) }
    return socket
  }

  /// Begins to connect. Success means under way: the socket becomes writable when it is decided,
  /// and `pendingError` says how.
  package static func connecting(to endpoint: Endpoint) throws(SystemError) -> Socket {
    let socket = try make(for: endpoint)
    let result = systemCall("connect") {
      endpoint.withSocketAddress { CLinux.connect(socket.rawDescriptor, $0, $1) }
    }
    guard result >= 0 || result == -Int(EINPROGRESS) else {
      throw SystemError(code: Int32(-result), call: "connect")
    }
    return socket
  }

  package func accept() -> AcceptOutcome {
    let (result, peer) = Endpoint.read { name, length in
      systemCall("accept4") { spate_accept(descriptor.rawValue, name, length) }
    }
    guard result >= 0 else {
      switch Int32(-result) {
      case EAGAIN: return .wouldBlock
      // accept(2): errors of the new connection, to be treated like a retry.
      case ECONNABORTED, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
        EOPNOTSUPP, ENETUNREACH, EPERM:
        return .lost
      default: return .failed(SystemError(code: Int32(-result), call: "accept4"))
      }
    }
    let taken = FileDescriptor(owning: Int32(result))
    guard let peer else { return .lost }
    return .accepted(Socket(taken), from: peer)
  }

  /// What became of a connect; nil when it succeeded.
  package var pendingError: SystemError? {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    let result = systemCall("getsockopt") {
      getsockopt(descriptor.rawValue, SOL_SOCKET, SO_ERROR, &code, &length)
    }
    if result < 0 { return SystemError(code: Int32(-result), call: "getsockopt") }
    return code == 0 ? nil : SystemError(code: code, call: "connect")
  }

  package var localEndpoint: Endpoint? {
    Endpoint.read { name, length in
      systemCall("getsockname") { getsockname(descriptor.rawValue, name, length) }
    }.endpoint
  }

  /// Small messages leave at once (no Nagle), and the kernel takes at most `unsentByteCountMax`
  /// bytes that it cannot send yet: what waits, waits here, where it can be counted. A socket that
  /// died meanwhile refuses these options; the next read or write will say so.
  package func tune(unsentByteCountMax: Int32) {
    _ = setOption(Int32(IPPROTO_TCP), TCP_NODELAY, to: 1)
    _ = setOption(Int32(IPPROTO_TCP), spate_tcp_notsent_lowat, to: unsentByteCountMax)
  }

  /// A connection is taken when its first bytes are there, or after about a second without: for
  /// protocols in which the client speaks first. A kernel that refuses gives it at once.
  package func deferAccept() { _ = setOption(Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, to: 1) }

  /// How many bytes must have arrived before the socket counts as readable; its end and its errors
  /// always do. A kernel that refuses goes on to tell of every byte.
  package func setReadableByteCountMin(_ count: Int32) {
    _ = setOption(SOL_SOCKET, SO_RCVLOWAT, to: count)
  }

  /// The kernel's own buffers, for tests that want them small.
  package func setBufferByteCounts(send: Int32? = nil, receive: Int32? = nil) throws(SystemError) {
    if let send { try set(SOL_SOCKET, SO_SNDBUF, to: send) }
    if let receive { try set(SOL_SOCKET, SO_RCVBUF, to: receive) }
  }

  private func set(_ level: Int32, _ option: Int32, to value: Int32) throws(SystemError) {
    try check("setsockopt") { setOption(level, option, to: value) }
  }

  private func setOption(_ level: Int32, _ option: Int32, to value: Int32) -> Int32 {
    var value = value
    return setsockopt(
      descriptor.rawValue, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}

extension Socket {
  /// - Parameter buffer: not empty.
  package func receive(into buffer: UnsafeMutableRawBufferPointer) -> ReadOutcome {
    Self.receive(from: descriptor.rawValue, into: buffer)
  }

  /// The same for a library's callback, which has only the number of an open socket.
  package static func receive(
    from rawDescriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) -> ReadOutcome {
    precondition(!buffer.isEmpty)
    let count = systemCall("recv", limit: buffer.count) { limit in
      recv(rawDescriptor, buffer.baseAddress, limit, 0)
    }
    if count > 0 { return .bytes(count) }
    if count == 0 { return .end }
    return count == -Int(EAGAIN)
      ? .wouldBlock : .failed(SystemError(code: Int32(-count), call: "recv"))
  }

  /// - Parameter moreFollows: the kernel may hold back a segment that is not full.
  package func send(_ bytes: UnsafeRawBufferPointer, moreFollows: Bool) -> WriteOutcome {
    let flags = spate_msg_nosignal | (moreFollows ? spate_msg_more : 0)
    return Self.outcome(
      systemCall("send", limit: bytes.count) { limit in
        CLinux.send(descriptor.rawValue, bytes.baseAddress, limit, flags)
      }, of: "send")
  }

  /// Two stretches of memory with one call, the first before the second.
  package func send(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, moreFollows: Bool
  ) -> WriteOutcome {
    let flags = spate_msg_nosignal | (moreFollows ? spate_msg_more : 0)
    return Self.outcome(
      systemCall("sendmsg", limit: first.count + second.count) { limit in
        let firstCount = min(first.count, limit)
        return spate_send_two(
          descriptor.rawValue, first.baseAddress, firstCount, second.baseAddress,
          limit - firstCount, flags)
      }, of: "sendmsg")
  }

  /// Hands bytes of a file to the connection without bringing them here. `.bytes(0)` means that the
  /// file ends before `offset`.
  package func sendFile(_ file: OpenFile, at offset: Int, byteCount: Int) -> WriteOutcome {
    Self.outcome(
      systemCall("sendfile", limit: byteCount) { limit in
        var position = off_t(offset)
        return sendfile(descriptor.rawValue, file.rawDescriptor, &position, limit)
      }, of: "sendfile")
  }

  /// The same by a library's call: `send` is told how many bytes it may move.
  package func sendFile(byteCount: Int, by send: (Int) -> Int) -> WriteOutcome {
    Self.outcome(systemCall("sendfile", limit: byteCount, send), of: "sendfile")
  }

  /// Whether the kernel would tell now that the socket is writable: it has more room then than for
  /// a byte, a third of its buffer. True of a socket that failed, too.
  package var hasRoom: Bool {
    var query = pollfd(fd: descriptor.rawValue, events: Int16(POLLOUT), revents: 0)
    return systemCall("poll") { poll(&query, 1, 0) } != 0
  }

  /// Says that nothing more will be sent; reading goes on.
  package func shutdownSending() -> SystemError? {
    let result = systemCall("shutdown") { CLinux.shutdown(descriptor.rawValue, Int32(SHUT_WR)) }
    return result < 0 ? SystemError(code: Int32(-result), call: "shutdown") : nil
  }

  @inline(__always)
  private static func outcome(_ count: Int, of call: StaticString) -> WriteOutcome {
    if count >= 0 { return .bytes(count) }
    return count == -Int(EAGAIN)
      ? .wouldBlock : .failed(SystemError(code: Int32(-count), call: call))
  }
}
