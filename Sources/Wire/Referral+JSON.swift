package import Content

/// `GET /-/referral/ID` with `Accept: application/json`: the same as the binary form, for people.
extension Referral {
  package func json() -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("interval_seconds", interval.seconds)
      json.array("packages") { json in
        for package in packages { package.write(to: &json) }
      }
    }
    return json.bytes
  }
}

extension PackageReferral {
  fileprivate func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("id", package.hex)
      json.member("piece_count", pieceCount)
      json.member("wants_whole", wantsWhole)
      json.array("leases") { json in
        for lease in leases {
          json.object { json in
            lease.run.write(to: &json)
            json.member("term_seconds", lease.term.seconds)
          }
        }
      }
      json.array("sources") { json in
        for source in sources { source.write(to: &json) }
      }
      json.array("promises") { json in
        for promise in promises {
          json.object { json in
            json.member("holder", promise.holder.description)
            promise.run.write(to: &json)
            json.member("expected_seconds", promise.expected.seconds)
          }
        }
      }
      json.array("suspended") { json in for peer in suspended { json.value(peer.description) } }
    }
  }
}

extension PieceRun {
  fileprivate func write(to json: inout JSONWriter) {
    json.member("first", first.rawValue)
    json.member("count", count)
  }
}

extension Source {
  fileprivate func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("peer", peer.description)
      json.member("is_origin", peer.isOrigin)
      json.member("endpoint", endpoint.description)
      json.member("held_pieces", heldPieceCount)
      json.member("uploads_active", uploads.active)
      json.member("uploads_limit", uploads.limit)
      json.member("upload_bytes_per_second", uploads.byteRate)
      json.member("is_near", isNear)
      json.member("speaks_tls", speaksTLS)
    }
  }
}
