import Content

@testable import Wire

// A span cannot pass through `#expect`: the same calls, over arrays.

extension RequestHead {
  func value(of name: FieldName, in bytes: [UInt8]) -> String? { value(of: name, in: bytes.span) }
  func accepts(_ type: String, in bytes: [UInt8]) -> Bool { accepts(type, in: bytes.span) }
  func peer(in bytes: [UInt8]) throws -> PeerID? { try peer(in: bytes.span) }
}

extension ResponseHead {
  func retryAfter(in bytes: [UInt8]) -> Duration? { retryAfter(in: bytes.span) }
}

extension HeadScanner {
  mutating func scan(_ bytes: [UInt8]) throws -> Int? { try scan(bytes.span) }
}

extension Announce {
  static func decode(_ bytes: [UInt8]) throws -> Announce { try decode(bytes.span) }
}

extension Referral {
  static func decode(_ bytes: [UInt8]) throws -> Referral { try decode(bytes.span) }
}

extension TreeMessage {
  static func decode(_ bytes: [UInt8], for slice: TreeSlice) throws -> TreeMessage {
    try decode(bytes.span, for: slice)
  }
}

extension TreeQuery {
  init(_ text: String) throws {
    let bytes = Array(text.utf8)
    try self.init(bytes.span, 0..<bytes.count)
  }
}

extension Manifest {
  static func parse(_ bytes: [UInt8]) throws -> Manifest { try parse(bytes.span) }
}

extension JSONValue {
  init(_ text: String) throws { try self.init(Array(text.utf8).span) }
}

extension QueryItem {
  static func parse(_ text: String) throws -> [QueryItem] {
    let bytes = Array(text.utf8)
    return try parse(bytes.span, 0..<bytes.count)
  }
}
