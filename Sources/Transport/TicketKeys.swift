import COpenSSL
import Content
import Posix
import Synchronization

/// Keys that seal session tickets (RFC 5077 section 4, RFC 8446 section 4.6.1). Each seals for an
/// hour and opens for one more, so that a key found later opens little of the past.
struct TicketKeyRing {
  static let sealingDuration = Duration.seconds(3600)

  struct Key: Equatable {
    let name: [UInt8]
    let cipher: [UInt8]
    let code: [UInt8]
    fileprivate let madeAt: Instant

    fileprivate init(madeAt: Instant, _ generator: inout some RandomNumberGenerator) {
      func draw(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      }
      name = draw(16)
      cipher = draw(32)
      code = draw(32)
      self.madeAt = madeAt
    }
  }

  enum Opening: Equatable {
    case current(Key)
    /// Opens, but a new ticket should take the old one's place.
    case previous(Key)
    case none
  }

  /// The newest first, two at most.
  private var keys: [Key] = []

  mutating func sealingKey(
    at now: Instant, using generator: inout some RandomNumberGenerator
  ) -> Key {
    if let first = keys.first, now - first.madeAt < Self.sealingDuration { return first }
    let key = Key(madeAt: now, &generator)
    keys = [key] + keys.prefix(1)
    return key
  }

  func opening(_ name: some Sequence<UInt8>, at now: Instant) -> Opening {
    guard let key = keys.first(where: { $0.name.elementsEqual(name) }) else { return .none }
    let age = now - key.madeAt
    guard age < Self.sealingDuration * 2 else { return .none }
    return age < Self.sealingDuration ? .current(key) : .previous(key)
  }
}

/// The ring as OpenSSL's contexts share it, on all loops.
final class TicketKeys: Sendable {
  private let ring = Mutex(TicketKeyRing())
  private let clock: @Sendable () -> Instant
  /// Never freed: it is OpenSSL's own table, looked up once.
  private nonisolated(unsafe) static let method = EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)

  init(clock: @escaping @Sendable () -> Instant = { Clock.now() }) { self.clock = clock }

  /// OpenSSL's callback: 1 to go on, 2 to go on and issue a new ticket, 0 for a ticket that opens
  /// with none of the keys, below 0 for an error.
  /// - Parameter isForOneUse: the ticket is of TLS 1.3, so that a client that used it needs another.
  func prepare(
    _ name: UnsafeMutablePointer<UInt8>, _ vector: UnsafeMutablePointer<UInt8>,
    _ cipher: OpaquePointer, _ code: OpaquePointer, encrypts: Bool, isForOneUse: Bool
  ) -> Int32 {
    let now = clock()
    if encrypts {
      var generator = SystemRandomNumberGenerator()
      let key = ring.withLock { $0.sealingKey(at: now, using: &generator) }
      for (index, byte) in key.name.enumerated() { name[index] = byte }
      return spate_ticket_prepare(
        cipher, code, Self.method, key.cipher, key.code, vector, 1) == 1 ? 1 : -1
    }
    let (key, result): (TicketKeyRing.Key, Int32)
    switch ring.withLock({ $0.opening(UnsafeBufferPointer(start: name, count: 16), at: now) }) {
    case .current(let found): (key, result) = (found, isForOneUse ? 2 : 1)
    case .previous(let found): (key, result) = (found, 2)
    case .none: return 0
    }
    guard spate_ticket_prepare(cipher, code, Self.method, key.cipher, key.code, vector, 0) == 1
    else {
      return -1
    }
    return result
  }
}
