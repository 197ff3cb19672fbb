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
    case failed(CloseReason)
  }

  var byteCount = 0
  var end = End.drained
}

extension OutputQueue {
  /// The three ways out: bytes, files by `sendfile`, and either of them through TLS.
  mutating func write(
    to socket: borrowing Socket, tls: TLSSession?, pool: BufferPool, byteCountMax: Int
  ) -> WriteProgress {
    var progress = WriteProgress()
    while let segment = first {
      let room = byteCountMax - progress.byteCount
      guard room > 0 else {
        progress.end = .reachedLimit
        return progress
      }
      let outcome: SegmentOutcome
      if let tls {
        outcome = tls.write(segment, pool: pool, byteCountMax: room)
      } else {
        outcome = send(segment, to: socket, byteCountMax: room)
      }
      switch outcome {
      case .wrote(let count, let asked):
        removeFirst(count, to: pool)
        progress.byteCount += count
        if count < asked {
          progress.end = .blocked
          return progress
        }
      case .blocked:
        progress.end = .blocked
        return progress
      case .failed(let reason):
        progress.end = .failed(reason)
        return progress
      }
    }
    return progress
  }

  private func send(
    _ segment: Segment, to socket: borrowing Socket, byteCountMax: Int
  ) -> SegmentOutcome {
    switch segment {
    case .buffer(let buffer, let unsent):
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[unsent])
      return outcome(
        socket.send(bytes, moreFollows: hasMoreThanOneSegment), asked: bytes.count)
    case .array(let array, let unsent):
      return array.withUnsafeBytes { all in
        let count = min(unsent.count, byteCountMax)
        let bytes = UnsafeRawBufferPointer(
          rebasing: all[unsent.lowerBound..<unsent.lowerBound + count])
        return outcome(
          socket.send(bytes, moreFollows: hasMoreThanOneSegment || count < unsent.count),
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
    case .failed(let error): .failed(error.isConnectionReset ? .remoteClosed : .failed(error))
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
