import Content
import Foundation
import Glibc
import Posix
import Reactor
import Testing

@testable import Transport

/// A handler made of closures, which keeps its stream and remembers what it was told.
final class Recorder: StreamHandler {
  let stream: Transport.Stream
  var received: [UInt8] = []
  var hasEnded = false
  var connectCount = 0
  var drainCount = 0
  var closes: [CloseReason] = []
  /// Bytes asked for per read, to make splits.
  var readByteCountMax = 64 * 1024
  var onReadable: ((Recorder, [UInt8]) -> Void)?
  var onEnd: ((Recorder) -> Void)?
  var onConnect: ((Recorder) -> Void)?
  var onDrain: ((Recorder) -> Void)?
  var onClose: ((Recorder) -> Void)?

  init(_ stream: Transport.Stream) {
    self.stream = stream
    stream.handler = self
  }

  deinit { stream.handler = nil }

  var isClosed: Bool { !closes.isEmpty }

  func streamIsReadable(_ stream: Transport.Stream) {
    let buffer = UnsafeMutableRawBufferPointer(
      rebasing: stream.loop.readBuffer[..<readByteCountMax])
    switch stream.read(into: buffer) {
    case .bytes(let count):
      let bytes = [UInt8](buffer[..<count])
      received += bytes
      onReadable?(self, bytes)
    case .end:
      hasEnded = true
      onEnd?(self)
    case .wouldBlock, .failed: break
    }
  }

  func streamDidConnect(_ stream: Transport.Stream) {
    connectCount += 1
    onConnect?(self)
  }

  func streamDidDrain(_ stream: Transport.Stream) {
    drainCount += 1
    onDrain?(self)
  }

  func streamDidClose(_ stream: Transport.Stream, _ reason: CloseReason) {
    closes.append(reason)
    onClose?(self)
  }
}

/// A listener on a port of the kernel's choice that keeps the recorders of what it took.
final class TestServer {
  let loop: EventLoop
  private(set) var taken: [Recorder] = []
  private(set) var listener: Listener?

  init(
    _ loop: EventLoop, on address: IPAddress = .loopback, tls: TLSServer? = nil,
    _ configure: @escaping (Recorder) -> Void = { _ in }
  ) throws {
    self.loop = loop
    listener = try Listener(loop, on: Endpoint(address: address, port: 0), tls: tls) {
      [unowned self] stream in
      let recorder = Recorder(stream)
      configure(recorder)
      taken.append(recorder)
    }
  }

  var endpoint: Endpoint { listener!.endpoint }

  static func echo(_ recorder: Recorder) {
    recorder.onReadable = { recorder, bytes in recorder.stream.send(bytes) }
    recorder.onEnd = { $0.stream.shutdownAfterDrain() }
  }
}

extension EventLoop {
  /// Turns the loop until the condition holds; a loop that stands still for long fails the test.
  func run(
    until condition: () -> Bool, _ location: SourceLocation = #_sourceLocation
  ) {
    var isLate = false
    let watchdog = Timer(self) { isLate = true }
    watchdog.schedule(after: .seconds(60))
    while !condition(), !isLate { turn(waits: true) }
    #expect(!isLate, "nothing happened for too long", sourceLocation: location)
  }
}

/// A plain blocking socket: the other side, without any code of ours.
final class BlockingClient {
  private var descriptor: Int32

  init(_ endpoint: Endpoint, receiveByteCount: Int32? = nil) throws {
    let isV4 = if case .v4 = endpoint.address { true } else { false }
    descriptor = socket(isV4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    if var receiveByteCount {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveByteCount, 4)
    }
    var result: Int32
    if isV4 {
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = endpoint.port.bigEndian
      name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      result = withUnsafeBytes(of: &name) {
        connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, 16)
      }
    } else {
      var name = sockaddr_in6()
      name.sin6_family = sa_family_t(AF_INET6)
      name.sin6_port = endpoint.port.bigEndian
      name.sin6_addr = in6addr_loopback
      result = withUnsafeBytes(of: &name) {
        connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, 28)
      }
    }
    try #require(result == 0)
  }

  deinit { close() }

  func send(_ bytes: [UInt8]) {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      done += count
    }
  }

  func send(_ text: String) { send([UInt8](text.utf8)) }

  /// At most `count` bytes; nil when the connection was reset, empty at the end.
  func receive(_ count: Int) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: count)
    let got = recv(descriptor, &buffer, count, 0)
    return got < 0 ? nil : [UInt8](buffer[..<got])
  }

  func shutdownSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }
}

/// A directory of its own for one test.
final class TemporaryDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/spate-test-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String, _ bytes: [UInt8]) throws -> OpenFile {
    let path = path + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return try OpenFile(path: path)
  }
}

/// Bytes that differ at every place one could confuse with another.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed
  return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, initializedCount in
    let bytes = UnsafeMutableRawBufferPointer(buffer)
    for offset in stride(from: 0, to: count, by: 8) {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      bytes.storeBytes(of: state ^ state >> 33, toByteOffset: offset, as: UInt64.self)
    }
    initializedCount = count
  }
}

func slice(_ file: OpenFile, _ range: Range<Int>) throws -> FileSlice {
  FileSlice(
    file: file, range: try #require(ByteRange(offset: range.lowerBound, count: range.count)))
}
