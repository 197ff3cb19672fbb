/// The fields Spate reads or writes. Any other field of a message is checked for its form and
/// skipped.
package enum FieldName: UInt8, CaseIterable, Hashable, Sendable {
  case accept, acceptRanges, allow, cacheControl, connection, contentLength
  case contentRange, contentType, date, digest, etag, expect, host, ifMatch, ifModifiedSince
  case ifNoneMatch, ifRange, ifUnmodifiedSince, lastModified, location, range, reprDigest
  case retryAfter, server, spateHave, spatePackage, spatePeer, spateRetry, transferEncoding, upgrade
  case userAgent, wantReprDigest

  /// As it is written.
  package var text: String {
    switch self {
    case .accept: "Accept"
    case .acceptRanges: "Accept-Ranges"
    case .allow: "Allow"
    case .cacheControl: "Cache-Control"
    case .connection: "Connection"
    case .contentLength: "Content-Length"
    case .contentRange: "Content-Range"
    case .contentType: "Content-Type"
    case .date: "Date"
    case .digest: "Digest"
    case .etag: "ETag"
    case .expect: "Expect"
    case .host: "Host"
    case .ifMatch: "If-Match"
    case .ifModifiedSince: "If-Modified-Since"
    case .ifNoneMatch: "If-None-Match"
    case .ifRange: "If-Range"
    case .ifUnmodifiedSince: "If-Unmodified-Since"
    case .lastModified: "Last-Modified"
    case .location: "Location"
    case .range: "Range"
    case .reprDigest: "Repr-Digest"
    case .retryAfter: "Retry-After"
    case .server: "Server"
    case .spateHave: "Spate-Have"
    case .spatePackage: "Spate-Package"
    case .spatePeer: "Spate-Peer"
    case .spateRetry: "Spate-Retry"
    case .transferEncoding: "Transfer-Encoding"
    case .upgrade: "Upgrade"
    case .userAgent: "User-Agent"
    case .wantReprDigest: "Want-Repr-Digest"
    }
  }

  /// True when several lines of this field are one list, or when a second line does no harm. For
  /// every other field a second line makes the message ambiguous, and it is refused.
  package var mayRepeat: Bool {
    switch self {
    case .accept, .acceptRanges, .allow, .cacheControl, .connection, .date, .digest, .ifMatch,
      .ifNoneMatch, .reprDigest, .server, .upgrade, .userAgent, .wantReprDigest:
      true
    case .contentLength, .contentRange, .contentType, .etag, .expect, .host,
      .ifModifiedSince, .ifRange, .ifUnmodifiedSince, .lastModified, .location, .range,
      .retryAfter, .spateHave, .spatePackage, .spatePeer, .spateRetry, .transferEncoding:
      false
    }
  }
}

/// A field name of at most 24 bytes, folded to lower case and packed, so that looking a name up is
/// a few comparisons of words while the name is being checked anyway. A longer name keeps its count
/// and is no known field's.
struct PackedName: Equatable {
  static let byteCountMax = 24

  private(set) var count = 0
  private var first: UInt64 = 0
  private var second: UInt64 = 0
  private var third: UInt64 = 0

  /// `byte` is a token character. Setting bit 5 folds letters and maps nothing else to a letter or
  /// a hyphen, which is all that known names are made of.
  @inline(__always)
  mutating func append(_ byte: UInt8) {
    let folded = UInt64(byte | 0x20)
    if count < 8 {
      first = first << 8 | folded
    } else if count < 16 {
      second = second << 8 | folded
    } else {
      third = third << 8 | folded
    }
    count += 1
  }

  init() {}

  init(_ text: String) {
    for byte in text.utf8 { append(byte) }
  }
}

/// Known names by length: the entries of one length are neighbours, and `starts` says where.
struct FieldIndex {
  static let shared = FieldIndex()

  private var names: [PackedName] = []
  private var fields: [FieldName] = []
  private var starts: [Int] = []

  private init() {
    for count in 0...PackedName.byteCountMax {
      starts.append(names.count)
      for field in FieldName.allCases where field.text.utf8.count == count {
        names.append(PackedName(field.text))
        fields.append(field)
      }
    }
    starts.append(names.count)
  }

  func field(named name: PackedName) -> FieldName? {
    guard name.count <= PackedName.byteCountMax else { return nil }
    var index = starts[name.count]
    let end = starts[name.count + 1]
    while index < end {
      if names[index] == name { return fields[index] }
      index += 1
    }
    return nil
  }
}
