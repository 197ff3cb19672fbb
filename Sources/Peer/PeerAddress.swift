import Content
import Transport

/// Where a peer serves, and by which certificate it is known when it speaks TLS.
struct PeerAddress {
  let endpoint: Endpoint
  let fingerprint: TLSFingerprint?
  /// Its name in requests.
  let host: String

  func isOf(_ source: Source) -> Bool {
    endpoint == source.endpoint && (fingerprint != nil) == source.speaksTLS
  }

  init(_ source: Source) {
    endpoint = source.endpoint
    host = "\(source.endpoint)"
    fingerprint =
      source.speaksTLS ? TLSFingerprint(high: source.peer.high, low: source.peer.low) : nil
  }
}
