import Content

/// What ranking needs to know of a peer: a plain copy of a part of its record, with no references in
/// it, because every announce looks at dozens.
///
/// Invariant: `Tracker.standings[slot]` is the `standing` of `peers[slot]`, or `.vacant`.
struct PeerStanding: Hashable, Sendable {
  let id: PeerID
  let endpoint: Endpoint
  let uploads: UploadLoad
  let demotedUntil: Instant
  let servedRate: Int
  let speaksTLS: Bool
  let place: Place

  /// Nobody: it serves none.
  static let vacant = PeerStanding(
    id: .origin, endpoint: Endpoint(address: .v4(0), port: 0),
    uploads: UploadLoad(active: 0, limit: 0, byteRate: 0), demotedUntil: .zero, servedRate: 0,
    speaksTLS: false, place: Place(site: "", address: .v4(0)))

  /// Where a machine is. Labels are compared by a hash: two that collide count as near, which costs
  /// speed and nothing else.
  struct Place: Hashable, Sendable {
    /// 0 without a label.
    private let label: UInt64
    /// Of the part before the slash in `REGION/NAME`; 0 without one.
    private let region: UInt64
    private let network: IPAddress

    init(site: String, address: IPAddress) {
      label = site.isEmpty ? 0 : Self.hash(site.utf8)
      let slash = site.utf8.firstIndex(of: UInt8(ascii: "/"))
      region =
        if let slash, slash > site.utf8.startIndex { Self.hash(site.utf8[..<slash]) } else { 0 }
      network = address.site
    }

    func isNear(_ other: Place) -> Bool {
      if label != 0, other.label != 0 { return label == other.label }
      return network == other.network
    }

    /// In the region that both operators named.
    func isInRegion(of other: Place) -> Bool { region != 0 && region == other.region }

    /// FNV-1a over the bytes, never 0.
    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      return hash | 1
    }
  }
}
