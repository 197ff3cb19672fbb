import Content
import Operations
import Storage
import Swarm
import Wire

/// What a finished download has to say for itself.
struct GetSummary {
  let path: String
  let byteCount: Int
  let duration: Duration
  let sha256: SHA256Digest
  let id: PackageID?
  let tally: TransferTally
  let peerCount: Int
  /// The pieces were verified against the origin's tree; a plain server has none.
  let isVerified: Bool

  init(_ transfer: Transfer, path: String, duration: Duration) {
    self.path = path
    self.duration = duration
    byteCount = transfer.geometry.byteCount
    sha256 = transfer.manifest.sha256
    id = transfer.stored.id
    tally = transfer.tally
    peerCount = transfer.sourceStatistics.count { !$0.source.isOrigin && $0.byteCount > 0 }
    isVerified = true
  }

  init(_ part: PlainPart, path: String, duration: Duration) {
    self.path = path
    self.duration = duration
    byteCount = part.byteCount
    sha256 = part.sha256
    id = nil
    var tally = TransferTally()
    tally.add(byteCount: part.receivedByteCount, from: .origin)
    self.tally = tally
    peerCount = 0
    isVerified = false
  }

  private var peerShare: Double {
    let total = tally.fromOriginByteCount + tally.fromPeersByteCount
    return total > 0 ? Double(tally.fromPeersByteCount) / Double(total) : 0
  }

  var line: String {
    let seconds = duration.seconds
    let rate = seconds > 0 ? Int(Double(byteCount) / seconds) : 0
    var line =
      "\(path): \(Quantities.describe(byteCount: byteCount)) in "
      + "\(Quantities.rounded(seconds, places: 2)) s "
      + "(\(Quantities.describe(byteCount: rate))/s)"
    if peerCount > 0 {
      line +=
        ", \(Quantities.rounded(peerShare * 100, places: 0)) % from "
        + (peerCount == 1 ? "1 peer" : "\(peerCount) peers")
    }
    if tally.rejectedPieceCount > 0 { line += ", \(tally.rejectedPieceCount) pieces rejected" }
    line += isVerified ? ", verified" : ", not verified: not a Spate origin"
    return line + "\n"
  }

  var json: String {
    var json = JSONWriter()
    json.object { json in
      json.member("path", path)
      json.member("bytes", byteCount)
      json.member("seconds", duration.seconds)
      json.member("sha256", "\(sha256)")
      if let id { json.member("id", "\(id)") }
      json.member("from_origin", tally.fromOriginByteCount)
      json.member("from_peers", tally.fromPeersByteCount)
      json.member("peers", peerCount)
      json.member("rejected", tally.rejectedPieceCount)
      json.member("verified", isVerified)
    }
    return json.text + "\n"
  }
}
