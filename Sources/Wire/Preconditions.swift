package import Content

/// An entity tag (RFC 9110 section 8.8.3).
package struct EntityTag: Hashable, Sendable {
  package let isWeak: Bool
  /// With its quotes: what is written after `W/`.
  package let quoted: [UInt8]

  /// The strong tag of a package: its id, which names its bytes.
  package init(_ id: PackageID) {
    isWeak = false
    quoted = Array("\"\(id.hex)\"".utf8)
  }

  /// A weak tag of characters that need no escape; anything else in `opaque` is left out.
  package init(weak opaque: String) {
    isWeak = true
    let quote = UInt8(ascii: "\"")
    quoted = [quote] + opaque.utf8.filter { $0 > 0x20 && $0 < 0x7f && $0 != quote } + [quote]
  }

  /// Nil unless the whole of `text` is one tag.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard let listed = ListedTag(bytes.span, at: 0, end: bytes.count), listed.end == bytes.count
    else { return nil }
    isWeak = listed.isWeak
    quoted = Array(bytes[listed.quoted])
  }

  /// As it goes into a field.
  package var field: [UInt8] { isWeak ? Array("W/".utf8) + quoted : quoted }

  package var text: String { String(decoding: field, as: UTF8.self) }
}

/// What a server knows of the representation it would send.
package struct Validators: Hashable, Sendable {
  package var etag: EntityTag
  /// Seconds since 1970; nil when there is no date.
  package var modified: Int?

  package init(etag: EntityTag, modified: Int?) {
    self.etag = etag
    self.modified = modified
  }
}

/// The conditions of a request, in the order of RFC 9110 section 13.2.2.
package enum Preconditions {
  package enum Verdict: Hashable, Sendable {
    case proceed
    /// 304.
    case notModified
    /// 412.
    case failed
  }

  /// `bytes` are those of the head. The representation exists: one that does not is 404 before any
  /// condition is looked at.
  package static func evaluate(
    _ head: RequestHead, in bytes: Span<UInt8>, _ validators: Validators
  ) -> Verdict {
    let isRead: Bool
    switch head.method {
    case .get, .head: isRead = true
    case .post, .put, .delete, .patch: isRead = false
    case .options, .trace: return .proceed
    }
    if head.has(.ifMatch) {
      guard matches(.ifMatch, head, bytes, validators.etag, strongly: true) else { return .failed }
    } else if let date = date(.ifUnmodifiedSince, head, bytes), let modified = validators.modified,
      modified > date
    {
      return .failed
    }
    if head.has(.ifNoneMatch) {
      if matches(.ifNoneMatch, head, bytes, validators.etag, strongly: false) {
        return isRead ? .notModified : .failed
      }
    } else if isRead, let date = date(.ifModifiedSince, head, bytes),
      let modified = validators.modified, modified <= date
    {
      return .notModified
    }
    return .proceed
  }

  /// What to send of `byteCount` bytes once `evaluate` said to proceed: the Range field of a GET,
  /// unless If-Range names another representation (RFC 9110 section 13.1.5).
  package static func range(
    _ head: RequestHead, in bytes: Span<UInt8>, _ validators: Validators, byteCount: Int
  ) -> RangeRequest {
    guard head.method == .get, let range = head.range(of: .range) else { return .whole }
    if let ifRange = head.range(of: .ifRange) {
      guard isCurrent(ifRange, bytes, validators) else { return .whole }
    }
    return RangeRequest.parse(bytes, range, byteCount: byteCount)
  }

  /// A date must be the very date of the representation, a tag must be strong and the same.
  private static func isCurrent(
    _ value: Range<Int>, _ bytes: Span<UInt8>, _ validators: Validators
  ) -> Bool {
    if let tag = ListedTag(bytes, at: value.lowerBound, end: value.upperBound) {
      return tag.end == value.upperBound && tag.matches(validators.etag, bytes, strongly: true)
    }
    guard let date = HTTPDate.parse(Grammar.text(bytes, value)) else { return false }
    return date == validators.modified
  }

  private static func date(
    _ name: FieldName, _ head: RequestHead, _ bytes: Span<UInt8>
  ) -> Int? {
    head.range(of: name).flatMap { HTTPDate.parse(Grammar.text(bytes, $0)) }
  }

  /// Whether the list, on however many lines, has `*` or the tag. What follows a malformed element
  /// is not looked at: it matches nothing.
  private static func matches(
    _ name: FieldName, _ head: RequestHead, _ bytes: Span<UInt8>, _ etag: EntityTag, strongly: Bool
  ) -> Bool {
    var found = false
    head.fields.forEachValue(of: name, in: bytes) { value in
      if value.count == 1, bytes[value.lowerBound] == UInt8(ascii: "*") {
        found = true
        return false
      }
      var position = value.lowerBound
      while position < value.upperBound {
        let byte = bytes[position]
        if Grammar.isBlank(byte) || byte == UInt8(ascii: ",") {
          position += 1
          continue
        }
        guard let tag = ListedTag(bytes, at: position, end: value.upperBound) else { return false }
        if tag.matches(etag, bytes, strongly: strongly) {
          found = true
          return false
        }
        position = tag.end
      }
      return true
    }
    return found
  }
}

/// `[W/] DQUOTE *etagc DQUOTE` where it stands.
private struct ListedTag {
  let isWeak: Bool
  let quoted: Range<Int>

  var end: Int { quoted.upperBound }

  init?(_ bytes: Span<UInt8>, at start: Int, end: Int) {
    var index = start
    isWeak =
      index + 1 < end && bytes[index] == UInt8(ascii: "W") && bytes[index + 1] == UInt8(ascii: "/")
    if isWeak { index += 2 }
    let quote = UInt8(ascii: "\"")
    guard index < end, bytes[index] == quote else { return nil }
    var close = index + 1
    while close < end, bytes[close] != quote {
      guard bytes[close] > Grammar.space, bytes[close] != 0x7f else { return nil }
      close += 1
    }
    guard close < end else { return nil }
    quoted = index..<close + 1
  }

  func matches(_ etag: EntityTag, _ bytes: Span<UInt8>, strongly: Bool) -> Bool {
    if strongly, isWeak || etag.isWeak { return false }
    guard quoted.count == etag.quoted.count else { return false }
    for (offset, byte) in etag.quoted.enumerated()
    where bytes[quoted.lowerBound + offset] != byte { return false }
    return true
  }
}
