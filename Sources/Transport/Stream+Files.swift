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
  func awaitFile() {
    fileWait.isBlocking = true
    fileWait.readsAhead = true
    // The next stretch may be on its way already.
    guard fileWait.read == nil else { return }
    if !beginRead() { output.noteResident() }
    if fileWait.read == nil { fileWait.isBlocking = false }
  }

  /// Has one stretch read beyond the one that is leaving.
  func readAhead() {
    guard fileWait.readsAhead, fileWait.read == nil,
      output.residentByteCount <= OpenFile.stretchByteCount
    else { return }
    guard let next = output.nextStretch else { return }
    guard next.file.isResident(next.range, now: loop.now) else { return _ = beginRead() }
    fileWait.readsAhead = false
    output.noteResident()
  }

  /// False when no worker takes it.
  private func beginRead() -> Bool {
    guard let next = output.nextStretch else { return true }
    fileWait.read = loop.fileReads.begin(next, next: output.stretchAfterNext) {
      [unowned self] failure in
      self.readEnded(next, failure)
    }
    return fileWait.read != nil
  }

  private func readEnded(_ read: FileSlice, _ failure: SystemError?) {
    fileWait.read = nil
    fileWait.isBlocking = false
    if let failure { return end(.failed(failure)) }
    if let next = output.nextStretch, next.file === read.file, next.range == read.range {
      output.noteResident()
    }
    readAhead()
    if hasUnsentOutput { schedule() }
  }
}
