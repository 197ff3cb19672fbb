import Content
import HTTP
import Logging
import Posix
import Reactor
import Storage
import Wire

/// Files by their names under the root.
extension OriginLoop {
  private static let retryWithoutDescriptors = 2

  /// What a name under the root came to.
  enum Opened {
    case file(CachedFile)
    case directory(String)
    case absent
    case forbidden
    case outOfDescriptors
    case failed(SystemError)
  }

  func serveFile(
    _ head: RequestHead, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    metrics.count(.file)
    let key = bytes.extracting(head.path)
    if let file = current(key) { return send(file, head, bytes, connection) }
    do throws(WireError) {
      let target = try RequestTarget(bytes, head.path)
      switch open(target, key: key) {
      case .file(let file): send(file, head, bytes, connection)
      case .directory(let path): serveDirectory(path, target, connection)
      case .absent: connection.respondText(.notFound, "no such file")
      case .forbidden: connection.respondText(.forbidden, "this file may not be read")
      case .outOfDescriptors:
        connection.respondText(.serviceUnavailable, "too many files are open") {
          HeadWriter.field(.retryAfter, Self.retryWithoutDescriptors, to: &$0)
        }
      case .failed: connection.respondText(.internalServerError, "the file cannot be read")
      }
    } catch {
      refuse(error, connection)
    }
  }

  private func send(
    _ file: CachedFile, _ head: RequestHead, _ bytes: Span<UInt8>, _ connection: ServerConnection
  ) {
    let plan = ContentPlan(head, bytes: bytes, for: file.representation)
    sendContent(plan, of: file, head, to: nil, observer: nil, connection)
  }

  /// The open file a path means, if one is held and the name still means it: looked at again when
  /// the last look is `trust` ago.
  func current(
    _ key: Span<UInt8>, trust: Duration = FileCache.trustDuration
  ) -> CachedFile? {
    guard let file = cache.file(named: key) else { return nil }
    guard loop.now - file.checked >= trust else {
      return file.entry != nil ? file : identified(file)
    }
    do {
      let status = try state.root.open(file.path).status()
      // One that would have been held whole, had memory had it, is opened anew: it may by now.
      let mayBeHeld = file.representation.content == nil && cache.mayHold(status)
      if status == file.status, !mayBeHeld {
        file.checked = loop.now
        return file.entry != nil ? file : identified(file)
      }
    } catch {
      // Whatever it is, opening it anew will say so to the one who asks.
    }
    cache.remove(file)
    return nil
  }

  /// The same file with its digests, if they have been found meanwhile.
  private func identified(_ file: CachedFile) -> CachedFile {
    guard let entry = state.catalogue.entry(path: file.path, status: file.status) else {
      return file
    }
    let identified = CachedFile(
      key: file.key, path: file.path, file: file.file, status: file.status, entry: entry,
      content: file.representation.content, now: file.checked)
    cache.insert(identified)
    return identified
  }

  func open(_ target: RequestTarget, key: Span<UInt8>) -> Opened {
    let path = target.relativePath.isEmpty ? "." : target.relativePath
    do {
      let file = try state.root.open(path)
      let status = try file.status()
      switch status.kind {
      case .directory: return .directory(target.relativePath)
      case .symbolicLink, .other: return .absent
      case .regular: break
      }
      guard !target.namesDirectory else { return .absent }
      let opened = CachedFile(
        key: key.withUnsafeBufferPointer { Array($0) }, path: path, file: file, status: status,
        entry: state.catalogue.entry(path: path, status: status),
        content: try smallContent(of: file, status), now: loop.now)
      cache.insert(opened)
      return .file(opened)
    } catch {
      return refusal(error, path)
    }
  }

  /// All bytes of a small file; nil when it is not small, not in memory, or has just become shorter.
  private func smallContent(
    of file: OpenFile, _ status: FileStatus
  ) throws(SystemError) -> [UInt8]? {
    guard cache.mayHold(status) else { return nil }
    guard let all = ByteRange(offset: 0, count: status.byteCount) else { return [] }
    guard file.isResident(all, now: loop.now) else { return nil }
    let buffer = UnsafeMutableRawBufferPointer(rebasing: scratch[..<status.byteCount])
    guard try file.read(into: buffer, at: 0) == status.byteCount else { return nil }
    return Array(buffer)
  }

  private func refusal(_ error: SystemError, _ path: String) -> Opened {
    if error.isOutsideRoot {
      state.linkLeadsOut(path)
      return .absent
    }
    if error.isNotFound || error.isNameTooLong { return .absent }
    if error.isPermissionDenied { return .forbidden }
    if error.isOutOfDescriptors {
      // Files held for later are the first thing to do without.
      cache.removeAll()
      return .outOfDescriptors
    }
    log.warning("cannot read", metadata: ["path": "\(path)", "reason": "\(error)"])
    return .failed(error)
  }

  private func serveDirectory(
    _ path: String, _ target: RequestTarget, _ connection: ServerConnection
  ) {
    guard state.configuration.listsDirectories else {
      return connection.respondText(.notFound, "no such file")
    }
    guard target.namesDirectory else {
      let location = "/" + PercentEncoding.encode(path: path) + "/"
      return connection.respondText(.movedPermanently, "this is a directory") {
        HeadWriter.field(.location, location, to: &$0)
      }
    }
    do {
      let page = DirectoryPage.html(of: path, try state.root.list(path))
      connection.respond(.ok, body: .bytes(page)) {
        HeadWriter.field(.contentType, ContentType.html, to: &$0)
      }
    } catch {
      let isHidden = error.isPermissionDenied
      connection.respondText(
        isHidden ? .forbidden : .notFound, "this directory cannot be listed")
    }
  }
}
