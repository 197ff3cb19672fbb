package import Content
package import Wire

/// What is known of a resource's bytes before any is sent. Made once for many responses.
package final class Representation: Sendable {
  package let byteCount: Int
  package let validators: Validators
  package let contentType: [UInt8]
  /// The bytes themselves, when they are few enough to be kept beside their description.
  package let content: [UInt8]?
  /// The fields that go with every answer that is about these bytes, as they stand in a head.
  let fields: [UInt8]
  /// Those that a 304 repeats (RFC 9110 section 15.4.5).
  let validatorFields: [UInt8]
  /// `fields`, and before them those of an answer with all of the bytes.
  let wholeFields: [UInt8]

  /// With its quotes.
  package var etag: [UInt8] { validators.etag.field }
  /// Seconds since 1970.
  package var modified: Int? { validators.modified }

  /// - Parameters:
  ///   - etag: with its quotes, and `W/` when weak.
  ///   - modified: seconds since 1970.
  ///   - extraFields: whole field lines that go with every answer about these bytes.
  ///   - content: all of the bytes; they are sent instead of the file's.
  package init(
    byteCount: Int, etag: [UInt8], modified: Int?, contentType: [UInt8],
    extraFields: [UInt8] = [], content: [UInt8]? = nil
  ) {
    precondition(content == nil || content?.count == byteCount, "the content is all of it")
    let text = String(decoding: etag, as: UTF8.self)
    let tag = EntityTag(text) ?? EntityTag(weak: text)
    self.byteCount = byteCount
    self.contentType = contentType
    self.content = content
    validators = Validators(etag: tag, modified: modified)
    var validatorFields: [UInt8] = []
    HeadWriter.field(.etag, tag.field, to: &validatorFields)
    if let modified {
      HeadWriter.field(.lastModified, HTTPDate.format(modified), to: &validatorFields)
    }
    self.validatorFields = validatorFields
    var fields = validatorFields
    HeadWriter.field(.acceptRanges, "bytes", to: &fields)
    fields += extraFields
    self.fields = fields
    var wholeFields: [UInt8] = []
    HeadWriter.field(.contentLength, byteCount, to: &wholeFields)
    HeadWriter.field(.contentType, contentType, to: &wholeFields)
    self.wholeFields = wholeFields + fields
  }
}

/// Which part of a representation a GET or HEAD is answered with, or why with none of it.
package enum ContentPlan: Equatable, Sendable {
  case notModified
  case preconditionFailed
  case unsatisfiable
  case whole
  case range(ByteRange)
  case ranges([ByteRange])

  /// Weighs the conditions of the request in the order of RFC 9110 section 13.2.2, then its ranges
  /// (section 14). `bytes` are those of the head.
  package init(
    _ head: RequestHead, bytes: Span<UInt8>, for representation: Representation
  ) {
    let validators = representation.validators
    switch Preconditions.evaluate(head, in: bytes, validators) {
    case .notModified: self = .notModified
    case .failed: self = .preconditionFailed
    case .proceed:
      let request = Preconditions.range(
        head, in: bytes, validators, byteCount: representation.byteCount)
      switch request {
      case .whole: self = .whole
      case .one(let range): self = .range(range)
      case .several(let ranges): self = .ranges(ranges)
      case .unsatisfiable: self = .unsatisfiable
      }
    }
  }

  /// Content bytes the plan sends of a representation, without what frames them.
  package func byteCount(of representation: Representation) -> Int {
    switch self {
    case .notModified, .preconditionFailed, .unsatisfiable: 0
    case .whole: representation.byteCount
    case .range(let range): range.count
    case .ranges(let ranges): ranges.reduce(0) { $0 + $1.count }
    }
  }
}
