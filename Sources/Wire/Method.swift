/// The request methods that are understood at all. Which of them a resource allows is its own
/// business.
package enum Method: String, CaseIterable, Hashable, Sendable {
  case get = "GET"
  case head = "HEAD"
  case post = "POST"
  case put = "PUT"
  case delete = "DELETE"
  case options = "OPTIONS"
  case patch = "PATCH"
  case trace = "TRACE"

  /// Methods are case-sensitive; nil for one that is not known.
  init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    let isExactly = { (bytes: Span<UInt8>, text: String) -> Bool in
      var index = range.lowerBound
      for byte in text.utf8 {
        guard bytes[index] == byte else { return false }
        index += 1
      }
      return true
    }
    let candidate: Method
    switch (range.count, range.isEmpty ? 0 : bytes[range.lowerBound]) {
    case (3, UInt8(ascii: "G")): candidate = .get
    case (3, UInt8(ascii: "P")): candidate = .put
    case (4, UInt8(ascii: "H")): candidate = .head
    case (4, UInt8(ascii: "P")): candidate = .post
    case (5, UInt8(ascii: "P")): candidate = .patch
    case (5, UInt8(ascii: "T")): candidate = .trace
    case (6, UInt8(ascii: "D")): candidate = .delete
    case (7, UInt8(ascii: "O")): candidate = .options
    default: return nil
    }
    guard isExactly(bytes, candidate.rawValue) else { return nil }
    self = candidate
  }
}

/// How long the body of a message is (RFC 9112 section 6.3).
package enum BodyFraming: Hashable, Sendable {
  case none
  /// At least one byte.
  case length(Int)
  case chunked
  /// A response that ends with its connection; never a request.
  case untilClose
}
