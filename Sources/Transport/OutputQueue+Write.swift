import Content
import Posix
import Reactor

/// How far a write of the queue came.
struct WriteProgress {
  enum End {
    case drained
    /// The kernel takes no more for now.
    case blocked
    /// The turn's share is used up.
    case reachedLimit
    /// What comes next would have to be waited for: memory does not have it.
    case absent
    case failed(CloseReason)
  }

  var byteCount = 0
  var end = End.drained
  /// TLS has said that it ends, behind the last byte.
  var hasNotifiedClose = false
}

extension OutputQueue {
  /// The three ways out: bytes, files by `sendfile`, and either of them through TLS.
  /// - Parameter isLast: nothing comes behind what is queued, so TLS may say so in the same call.
  mutating func write(
    to socket: borrowing Socket, tls: TLSSession?, pool: BufferPool, byteCountMax: Int,
    isLast: Bool, now: Instant
  ) -> WriteProgress {
    var progress = WriteProgress()
    // Records that the kernel refused the last time come first.
    if let tls, stops(tls.flush(to: socket), &progress) { return progress }
    while let segment = first {
      // A share may be exceeded by what is before a slice: a head does not cut its body in two.
      guard progress.byteCount < byteCountMax else {
        progress.end = .reachedLimit
        break
      }
      var sendableByteCount = byteCountMax
      if case .file = segment {
        guard let count = self.sendableByteCount(byteCountMax, now: now) else {
          progress.end = .absent
          break
        }
        sendableByteCount = count
      }
      let outcome =
        if let tls {
          tls.write(segment, to: socket, pool: pool, byteCountMax: sendableByteCount)
        } else {
          send(segment, to: socket, byteCountMax: sendableByteCount, isLast: isLast)
        }
      if stops(outcome, &progress, pool) { break }
      if let tls, tls.wantsFlush, stops(tls.flush(to: socket), &progress) { return progress }
    }
    // The kernel's records need room of their own for a farewell, which comes later.
    if let tls, !tls.kernelSends, isLast, isEmpty, case .drained = progress.end {
      progress.hasNotifiedClose = tls.notifyClose()
    }
    if let tls, tls.holdsOutput {
      let flushed = tls.flush(to: socket)
      // A failure stays one, however its last records fared.
      if case .failed = progress.end { return progress }
      _ = stops(flushed, &progress)
    }
    return progress
  }

  private mutating func stops(
    _ outcome: SegmentOutcome, _ progress: inout WriteProgress, _ pool: BufferPool
  ) -> Bool {
    switch outcome {
    case .wrote(let count, let asked):
      remove(count, to: pool)
      progress.byteCount += count
      if count == asked { return false }
      progress.end = .blocked
    case .blocked: progress.end = .blocked
    case .failed(let reason): progress.end = .failed(reason)
    }
    return true
  }

  private func stops(_ outcome: WriteOutcome, _ progress: inout WriteProgress) -> Bool {
    switch outcome {
    case .bytes: return false
    case .wouldBlock: progress.end = .blocked
    case .failed(let error): progress.end = .failed(Self.reason(error))
    }
    return true
  }

  static func reason(_ error: SystemError) -> CloseReason {
    error.isConnectionReset ? .remoteClosed : .failed(error)
  }

  private func send(
    _ segment: Segment, to socket: borrowing Socket, byteCountMax: Int, isLast: Bool
  ) -> SegmentOutcome {
    // The last bytes wait for the socket's end, which comes at once and leaves with them.
    let moreFollows = hasMoreThanOneSegment || isLast
    switch segment {
    case .buffer(let buffer, let unsent):
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[unsent])
      guard let second else {
        return outcome(socket.send(bytes, moreFollows: moreFollows), asked: bytes.count)
      }
      // A head and a body that memory has leave with one call.
      return second.array.withUnsafeBytes { all in
        let behind = UnsafeRawBufferPointer(
          rebasing: all[second.unsent].prefix(byteCountMax))
        let moreFollows = isLast || !second.isLast || behind.count < second.unsent.count
        return outcome(
          socket.send(bytes, behind, moreFollows: moreFollows), asked: bytes.count + behind.count)
      }
    case .array(let array, let unsent):
      return array.withUnsafeBytes { all in
        let count = min(unsent.count, byteCountMax)
        let bytes = UnsafeRawBufferPointer(
          rebasing: all[unsent.lowerBound..<unsent.lowerBound + count])
        return outcome(
          socket.send(bytes, moreFollows: moreFollows || count < unsent.count),
          asked: count)
      }
    case .file(let file, let unsent):
      let count = min(unsent.count, byteCountMax)
      let result = socket.sendFile(file, at: unsent.lowerBound, byteCount: count)
      if case .bytes(0) = result { return .failed(.fileTooShort) }
      return outcome(result, asked: count)
    }
  }

  private func outcome(_ outcome: WriteOutcome, asked: Int) -> SegmentOutcome {
    switch outcome {
    case .bytes(let count): .wrote(count, asked: asked)
    case .wouldBlock: .blocked
    case .failed(let error): .failed(Self.reason(error))
    }
  }
}

/// What became of one segment, or of a part of it.
enum SegmentOutcome {
  /// Fewer than asked for: the kernel is full.
  case wrote(Int, asked: Int)
  case blocked
  case failed(CloseReason)
}
