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
    // Records that the kernel refused the last time come first.
    if let tls, stops(tls.flush(to: socket), &progress) { return progress }
    while let segment = first {
      // A share may be exceeded by what is before a slice: a head does not cut its body in two.
      guard progress.byteCount < byteCountMax else {
        progress.end = .reachedLimit
        break
      }
      let outcome =
        if let tls {
          tls.write(segment, to: socket, pool: pool, byteCountMax: byteCountMax)
        } else {
          send(segment, to: socket, byteCountMax: byteCountMax)
        }
      if stops(outcome, &progress, pool) { break }
      if let tls, tls.wantsFlush, stops(tls.flush(to: socket), &progress) { return progress }
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
      removeFirst(count, to: pool)
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
