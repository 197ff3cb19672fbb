package import Content

/// What the binary messages of a package say, as JSON for people who look with `curl`: sent when
/// `Accept` names `application/json`.
extension TreeMessage {
  package func json() -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("leaves", slice.shape.leafCount)
      json.member("layer", slice.layer)
      json.member("first", slice.first)
      json.array("nodes") { json in for node in nodes { json.value(node.hex) } }
      json.array("proof") { json in for node in proof { json.value(node.hex) } }
    }
    return json.bytes
  }
}

extension HaveFrame {
  /// What a have-stream begins with, and no stream after it. Runs are pairs: the first piece and how
  /// many.
  package static func json(held: PieceSet, promised: [PieceRun]) -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("pieces", held.pieceCount)
      json.member("count", held.count)
      json.array("held") { json in for run in held.runs { json.pair(run) } }
      json.array("promised") { json in for run in promised { json.pair(run) } }
    }
    return json.bytes
  }
}

extension JSONWriter {
  fileprivate mutating func pair(_ run: PieceRun) {
    array { json in
      json.value(run.first.rawValue)
      json.value(run.count)
    }
  }
}
