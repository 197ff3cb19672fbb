import Content
import Posix
import Reactor

/// Slices of files that memory does not have: workers bring them in, a stretch at a time and one
/// stretch ahead, while the stream waits and its loop does not.
extension Stream {
  /// What a stream knows of the file it is sending.
  struct FileWait {
    /// Nothing can be sent before the read has ended.
    var isBlocking = false
    /// The stream met bytes that were not in memory: the next ones are asked for early.
    var readsAhead = false
    var read: FileRead?
  }

  /// The queue begins with bytes that are not in memory.
  func awaitFile(_ output: Output) {
    output.fileWait.isBlocking = true
    output.fileWait.readsAhead = true
    // The next stretch may be on its way already.
    guard output.fileWait.read == nil else { return }
    if !beginRead(output) { output.queue.noteResident() }
    if output.fileWait.read == nil { output.fileWait.isBlocking = false }
  }

  /// Has one stretch read beyond the one that is leaving.
  func readAhead(_ output: Output) {
    guard output.fileWait.readsAhead, output.fileWait.read == nil,
      output.queue.residentByteCount <= OpenFile.stretchByteCount
    else { return }
    guard let next = output.queue.nextStretch else { return }
    guard next.file.isResident(next.range, now: loop.now) else { return _ = beginRead(output) }
    output.fileWait.readsAhead = false
    output.queue.noteResident()
  }

  /// False when no worker takes it.
  private func beginRead(_ output: Output) -> Bool {
    guard let next = output.queue.nextStretch else { return true }
    output.fileWait.read = loop.fileReads.begin(next, next: output.queue.stretchAfterNext) {
      [unowned self] failure in
      self.readEnded(next, failure)
    }
    return output.fileWait.read != nil
  }

  private func readEnded(_ read: FileSlice, _ failure: SystemError?) {
    guard let output else { return }
    output.fileWait.read = nil
    output.fileWait.isBlocking = false
    if let failure { return end(.failed(failure)) }
    if let next = output.queue.nextStretch, next.file === read.file, next.range == read.range {
      output.queue.noteResident()
    }
    readAhead(output)
    if hasUnsentOutput { schedule() }
  }
}
