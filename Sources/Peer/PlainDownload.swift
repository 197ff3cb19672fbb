import Content
import Digests
import HTTP
import Posix
import Reactor
import Transport
import Wire

/// Downloads from a server that is not Spate: one plain GET, resumed where an earlier one ended when
/// the server still has the same file, redirects followed.
final class PlainDownload: ResponseReceiver {
  private static let redirectCountMax = 10
  private static let silenceMax = Duration.seconds(30)
  private static let windowByteCount = 256 * 1024

  private let directory: String
  private let authorities: String?
  private let bar: ProgressBar
  private let node: Node
  private let window = UnsafeMutableRawBufferPointer.allocate(
    byteCount: windowByteCount, alignment: 4_096)
  private var url: HTTPURL
  private var redirectCount = 0
  private var part: PlainPart?
  private var expectedByteCount: Int?
  private var failure: PeerError?
  /// The part on disk was the file already.
  private var isWhole = false
  private var next: HTTPURL?
  private var completion: ((Result<PlainPart, PeerError>) -> Void)?

  init(
    _ url: HTTPURL, directory: String, authorities: String?, bar: ProgressBar, on node: Node
  ) {
    self.url = url
    self.directory = directory
    self.authorities = authorities
    self.bar = bar
    self.node = node
  }

  deinit { window.deallocate() }

  /// Something worth resuming is on disk.
  var hasPart: Bool { (part?.byteCount ?? 0) > 0 }

  /// - Parameter removingDirectory: nobody else keeps anything in the directory.
  func discardPart(removingDirectory: Bool) throws(PeerError) {
    try part?.discard(removingDirectory: removingDirectory)
  }

  func start(_ completion: @escaping (Result<PlainPart, PeerError>) -> Void) {
    self.completion = completion
    do throws(PeerError) {
      part = try PlainPart(directory: directory)
      try ask()
    } catch {
      finish(.failure(error))
    }
  }

  private func ask() throws(PeerError) {
    let address = try Node.address(of: url, authorities: authorities)
    let connection = ClientConnection(
      node.loop, to: address.endpoint, host: url.authority, tls: address.tls)
    let (byteCount, validator) = (part?.byteCount ?? 0, part?.validator ?? "")
    connection.send(.get, url.target, silenceMax: Self.silenceMax, receiver: self) { head in
      guard byteCount > 0, !validator.isEmpty else { return }
      HeadWriter.field(.range, "bytes=\(byteCount)-", to: &head)
      HeadWriter.field(.ifRange, validator, to: &head)
    }
  }

  // MARK: The response

  func responseBegan(_ head: ResponseHead, bytes: Span<UInt8>, on connection: ClientConnection) {
    do throws(PeerError) {
      switch head.status.code {
      case 200:
        try part?.restart(validator: Self.validator(head, bytes))
        expectedByteCount = head.contentLength
      case 206:
        try resume(head, bytes)
      case 301, 302, 303, 307, 308:
        next = try redirected(head.value(of: .location, in: bytes))
      case 416:
        try startOver(head, bytes)
      default:
        throw PeerError("\(url): the server said \(head.status)")
      }
    } catch {
      failure = error
    }
  }

  private func resume(_ head: ResponseHead, _ bytes: Span<UInt8>) throws(PeerError) {
    let contentRange = head.value(of: .contentRange, in: bytes).flatMap { ContentRange($0) }
    guard let contentRange, let part, let range = contentRange.range,
      range.offset == part.byteCount, head.contentLength ?? range.count == range.count
    else { throw PeerError("\(url): the server sent another range than it was asked for") }
    guard let byteCount = contentRange.byteCount else {
      throw PeerError("\(url): the server does not say how long the file is")
    }
    expectedByteCount = byteCount
  }

  /// Nothing lies behind the part: it is whole already, or longer than what the server has now.
  private func startOver(_ head: ResponseHead, _ bytes: Span<UInt8>) throws(PeerError) {
    let contentRange = head.value(of: .contentRange, in: bytes).flatMap { ContentRange($0) }
    if let part, part.byteCount > 0, contentRange?.byteCount == part.byteCount {
      isWhole = true
      return
    }
    guard part?.byteCount ?? 0 > 0 else {
      throw PeerError("\(url): the server said \(head.status)")
    }
    try part?.restart(validator: "")
    next = url
  }

  private func redirected(_ location: String?) throws(PeerError) -> HTTPURL {
    redirectCount += 1
    guard let location, redirectCount <= Self.redirectCountMax else {
      throw PeerError("\(url): the server redirects without end")
    }
    let other: HTTPURL
    do throws(HTTPURLError) {
      other = try url.resolving(location)
    } catch {
      throw PeerError("\(url): the server redirects to \(location): \(error)")
    }
    guard other.isSecure || !url.isSecure else {
      throw PeerError("\(url): the server redirects from https to \(other), which is not secure")
    }
    return other
  }

  /// A strong tag or a date: what proves that the rest belongs to the part.
  private static func validator(_ head: ResponseHead, _ bytes: Span<UInt8>) -> String {
    if let tag = head.value(of: .etag, in: bytes), !tag.hasPrefix("W/") { return tag }
    return head.value(of: .lastModified, in: bytes) ?? ""
  }

  func responseBuffer() -> UnsafeMutableRawBufferPointer? { window }

  func responseReceived(_ bytes: UnsafeRawBufferPointer, on connection: ClientConnection) {
    guard failure == nil, next == nil, !isWhole, let part else { return }
    do throws(PeerError) {
      guard part.byteCount + bytes.count <= expectedByteCount ?? .max else {
        throw PeerError("\(url): the server sends more than it announced")
      }
      try part.append(bytes)
      bar.show(
        done: part.byteCount, total: expectedByteCount ?? part.byteCount, fromPeers: 0,
        fromOrigin: 0, now: node.loop.now)
    } catch {
      failure = error
      connection.close()
    }
  }

  func responseEnded(on connection: ClientConnection) {
    if let failure { return finish(.failure(failure)) }
    if let next {
      self.next = nil
      url = next
      do throws(PeerError) {
        try ask()
      } catch {
        finish(.failure(error))
      }
      return
    }
    guard let part, isWhole || expectedByteCount ?? part.byteCount == part.byteCount else {
      return finish(.failure(PeerError("\(url): the response ended early; run it again to go on")))
    }
    finish(.success(part))
  }

  func responseFailed(_ failure: RequestFailure, on connection: ClientConnection) {
    finish(.failure(self.failure ?? PeerError("\(url): \(failure)")))
  }

  private func finish(_ result: Result<PlainPart, PeerError>) {
    let completion = completion
    self.completion = nil
    completion?(result)
  }
}

/// The file a plain download grows in, with what names the version it belongs to.
final class PlainPart {
  private let directory: String
  private let path: String
  private let validatorPath: String
  private let file: OpenFile
  /// Of a finished download, as a verified one has them.
  private static let permissions: UInt32 = 0o644
  private var hasher = SHA256Stream()
  private var digest: SHA256Digest?
  private(set) var byteCount = 0
  private(set) var receivedByteCount = 0
  private(set) var validator = ""

  init(directory: String) throws(PeerError) {
    path = "\(directory)/plain"
    validatorPath = "\(directory)/plain.validator"
    self.directory = directory
    do throws(SystemError) {
      try FileSystem.makeDirectory(directory)
      file = try OpenFile(path: path, .createOrOpen)
      let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
      defer { window.deallocate() }
      if try FileSystem.statusIfPresent(of: validatorPath) != nil {
        let count = try OpenFile(path: validatorPath).read(into: window, at: 0)
        validator = String(decoding: window[..<count], as: UTF8.self)
      }
      if validator.isEmpty { try file.truncate(to: 0) }
      while true {
        let count = try file.read(into: window, at: byteCount)
        guard count > 0 else { break }
        hasher.update(UnsafeRawBufferPointer(rebasing: window[..<count]))
        byteCount += count
      }
    } catch {
      throw PeerError("\(directory)/plain: \(error)")
    }
  }

  /// Of everything, once no more comes.
  var sha256: SHA256Digest {
    if let digest { return digest }
    let value = hasher.finish()
    digest = value
    return value
  }

  func restart(validator: String) throws(PeerError) {
    do throws(SystemError) {
      try file.truncate(to: 0)
      let record = try OpenFile(path: validatorPath, .createOrOpen)
      try record.truncate(to: 0)
      try Self.write(Array(validator.utf8), to: record)
    } catch {
      throw PeerError("\(path): \(error)")
    }
    byteCount = 0
    hasher = SHA256Stream()
    self.validator = validator
  }

  private static func write(_ text: [UInt8], to file: OpenFile) throws(SystemError) {
    let result = text.withUnsafeBytes { bytes in
      Result { () throws(SystemError) in try file.write(bytes, at: 0) }
    }
    try result.get()
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws(PeerError) {
    do throws(SystemError) {
      try file.write(bytes, at: byteCount)
    } catch {
      throw PeerError("\(path): \(error)")
    }
    hasher.update(bytes)
    byteCount += bytes.count
    receivedByteCount += bytes.count
  }

  /// Removes what is on disk.
  func discard(removingDirectory: Bool) throws(PeerError) {
    for path in [path, validatorPath] {
      do throws(SystemError) {
        try FileSystem.remove(path)
      } catch  where error.isNotFound {
        continue
      } catch {
        throw PeerError("\(path): \(error)")
      }
    }
    guard removingDirectory else { return }
    do throws(SystemError) {
      try FileSystem.removeEmptyDirectory(directory)
    } catch {
      throw PeerError("\(directory): \(error)")
    }
  }

  func publish(as target: String) throws(PeerError) {
    do throws(SystemError) {
      try file.synchronize()
      try FileSystem.changePermissions(of: path, to: Self.permissions)
      try FileSystem.rename(path, to: target)
    } catch {
      throw PeerError("\(target): \(error)")
    }
  }
}
