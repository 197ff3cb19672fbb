import Content
import Operations
import Simulator
import Wire

/// What a simulation took of the machine it ran on.
struct SimulationCost {
  var seconds: Double
  var peakByteCount: Int

  func rate(of count: Int) -> Double { Double(count) / max(seconds, 1e-9) }
}

extension SimulationReport {
  func text(_ cost: SimulationCost) -> String {
    let two = { (value: Double) in Quantities.rounded(value, places: 2) }
    let three = { (value: Double) in Quantities.rounded(value, places: 3) }
    let whole = { (value: Double) in Quantities.rounded(value, places: 0) }
    var text = "complete    \(completedCount) of \(expectedCount) honest peers\n"
    text += "bound       \(two(fluidBound)) s\n"
    text += "median      \(two(medianTime)) s, stretch \(three(medianStretch))\n"
    text += "last        \(two(lastTime)) s, stretch \(three(lastStretch))\n"
    for links in classes {
      text += "of \(Quantities.describe(byteCount: links.rate))/s  stretch"
      text += " \(three(links.medianStretch)), last \(three(links.lastStretch))\n"
    }
    text += "stall       \(two(longestStall)) s at most\n"
    text += "origin      \(three(originCopies)) copies\n"
    text += "first copy  after \(two(firstCopyTime)) s\n"
    text += "peers       \(three(peerCopies)) copies\n"
    text += "rejected    \(rejectedPieceCount) pieces\n"
    text += "refused     \(refusedRequestCount) requests\n"
    text += "hedged      \(wonHedgeCount) requests won, \(lostHedgeCount) lost\n"
    text += "decisions   \(decisionCount), \(whole(cost.rate(of: decisionCount)))/s\n"
    text += "events      \(eventCount), \(whole(cost.rate(of: eventCount)))/s\n"
    text += "memory      \(Quantities.describe(byteCount: cost.peakByteCount)) at most\n"
    text += "trace       \(String(traceHash, radix: 16))\n"
    for violation in violations { text += "VIOLATED    \(violation)\n" }
    return text
  }

  func json(_ cost: SimulationCost) -> String {
    var json = JSONWriter()
    json.object { json in
      json.member("seed", String(seed))
      json.member("peers", peerCount)
      json.member("pieces", pieceCount)
      json.member("expected", expectedCount)
      json.member("completed", completedCount)
      json.member("failed", failedCount)
      json.member("bound_seconds", fluidBound)
      json.member("median_seconds", medianTime)
      json.member("last_seconds", lastTime)
      json.member("median_stretch", medianStretch)
      json.member("last_stretch", lastStretch)
      json.array("classes") { json in
        for links in classes {
          json.object { json in
            json.member("bytes_per_second", links.rate)
            json.member("median_stretch", links.medianStretch)
            json.member("last_stretch", links.lastStretch)
          }
        }
      }
      json.member("longest_stall_seconds", longestStall)
      json.member("origin_copies", originCopies)
      json.member("first_copy_seconds", firstCopyTime)
      json.member("peer_copies", peerCopies)
      json.member("rejected", rejectedPieceCount)
      json.member("refused", refusedRequestCount)
      json.member("hedges_won", wonHedgeCount)
      json.member("hedges_lost", lostHedgeCount)
      json.member("arriving", arrivingPieceCount)
      json.member("broken_off", brokenOffCount)
      json.member("announces", announceCount)
      json.member("decisions", decisionCount)
      json.member("decisions_per_second", cost.rate(of: decisionCount))
      json.member("events", eventCount)
      json.member("events_per_second", cost.rate(of: eventCount))
      json.member("virtual_seconds", virtualTime.seconds)
      json.member("seconds", cost.seconds)
      json.member("peak_bytes", cost.peakByteCount)
      json.member("trace", String(traceHash, radix: 16))
      json.array("violations") { json in
        for violation in violations { json.value(violation) }
      }
    }
    return json.text + "\n"
  }
}
