package import Content
package import Wire

/// The response that a plan comes to, before any byte of the representation is at hand: status,
/// length, fields, and the order of its parts.
package struct ContentLayout {
  package enum Part {
    case bytes([UInt8])
    case range(ByteRange)
  }

  package let status: Status
  /// Of the whole body, what frames the parts included; nil when the status has none.
  package let byteCount: Int?
  package let parts: [Part]
  private let fields: [UInt8]

  package func appendFields(to head: inout [UInt8]) { head += fields }

  init(
    _ status: Status, byteCount: Int?, parts: [Part], _ representation: Representation,
    contentType: [UInt8]?, range: ByteRange?? = nil
  ) {
    self.status = status
    self.byteCount = byteCount
    self.parts = parts
    var fields: [UInt8] = []
    if let contentType { HeadWriter.field(.contentType, contentType, to: &fields) }
    fields += status == .notModified ? representation.validatorFields : representation.fields
    if let range { HeadWriter.contentRange(range, of: representation.byteCount, to: &fields) }
    self.fields = fields
  }
}

extension ContentPlan {
  package func layout(of representation: Representation) -> ContentLayout {
    let type = representation.contentType
    switch self {
    case .notModified:
      return ContentLayout(
        .notModified, byteCount: nil, parts: [], representation, contentType: nil)
    case .preconditionFailed:
      return ContentLayout(
        .preconditionFailed, byteCount: 0, parts: [], representation, contentType: nil)
    case .unsatisfiable:
      return ContentLayout(
        .rangeNotSatisfiable, byteCount: 0, parts: [], representation, contentType: nil,
        range: .some(nil))
    case .whole:
      let whole = ByteRange(offset: 0, count: representation.byteCount)
      return ContentLayout(
        .ok, byteCount: representation.byteCount, parts: whole.map { [.range($0)] } ?? [],
        representation, contentType: type)
    case .range(let range):
      return ContentLayout(
        .partialContent, byteCount: range.count, parts: [.range(range)], representation,
        contentType: type, range: range)
    case .ranges(let ranges):
      return multipart(ranges, of: representation)
    }
  }

  private func multipart(
    _ ranges: [ByteRange], of representation: Representation
  ) -> ContentLayout {
    let parts = MultipartRanges(
      ranges: ranges, of: representation.byteCount,
      partType: String(decoding: representation.contentType, as: UTF8.self),
      boundary: Self.makeBoundary())
    guard let byteCount = parts.byteCount else {
      return ContentPlan.whole.layout(of: representation)
    }
    var body: [ContentLayout.Part] = []
    for (head, range) in zip(parts.partHeads, ranges) { body += [.bytes(head), .range(range)] }
    body.append(.bytes(parts.closing))
    return ContentLayout(
      .partialContent, byteCount: byteCount, parts: body, representation,
      contentType: Array(parts.contentType.utf8))
  }

  /// 128 random bits: not in the file, whoever wrote it.
  private static func makeBoundary() -> String {
    String(UInt64.random(in: .min ... .max), radix: 36)
      + String(UInt64.random(in: .min ... .max), radix: 36)
  }
}

extension ServerConnection {
  /// The head alone of what the plan comes to: the answer to HEAD, or one that has no body.
  package func respond(_ plan: ContentPlan, withoutBodyOf representation: Representation) {
    let layout = plan.layout(of: representation)
    respond(layout.status, contentLength: layout.byteCount) { layout.appendFields(to: &$0) }
  }
}
