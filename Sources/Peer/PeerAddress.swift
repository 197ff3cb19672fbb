import Content
import Transport

/// Where a peer serves, and by which certificate it is known when it speaks TLS.
struct PeerAddress {
  let endpoint: Endpoint
  let fingerprint: TLSFingerprint?

  init(_ source: Source) {
    endpoint = source.endpoint
    fingerprint =
      source.speaksTLS ? TLSFingerprint(high: source.peer.high, low: source.peer.low) : nil
  }
}
