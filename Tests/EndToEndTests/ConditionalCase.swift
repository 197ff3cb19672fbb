/// A request with ranges or conditions, and what RFC 9110 says of it. Written down by hand from the
/// RFC for a file of `byteCount` bytes modified at `modified`; nothing here is computed by the
/// program under test.
struct ConditionalCase: Sendable, CustomStringConvertible {
  enum Answer: Sendable, Equatable {
    case whole
    /// 206 with one range: its first and last byte.
    case part(Int, Int)
    /// 206 with `multipart/byteranges`.
    case parts([ClosedRange<Int>])
    case notModified
    case failed
    case unsatisfiable
  }

  static let byteCount = 100_000
  /// 2023-03-05 07:08:09 UTC, in the three formats of section 5.6.7 and the seconds around it.
  static let modified = 1_678_000_089
  static let date = "Sun, 05 Mar 2023 07:08:09 GMT"
  static let rfc850 = "Sunday, 05-Mar-23 07:08:09 GMT"
  static let asctime = "Sun Mar  5 07:08:09 2023"
  static let before = "Sun, 05 Mar 2023 07:08:08 GMT"
  static let after = "Sun, 05 Mar 2023 07:08:10 GMT"

  let fields: [String]
  let answer: Answer
  /// A range is defined for GET only (section 14.2): HEAD has the answer of the whole.
  var headAnswer: Answer {
    switch answer {
    case .part, .parts, .unsatisfiable: .whole
    case .whole, .notModified, .failed: answer
    }
  }

  init(_ fields: String..., answer: Answer) {
    self.fields = fields
    self.answer = answer
  }

  var description: String { fields.isEmpty ? "no field" : fields.joined(separator: " | ") }

  /// `{etag}` in the fields stands for the file's.
  static let all = ranges + malformedRanges + tags + dates + combinations

  /// Section 14.1.2.
  static let ranges: [ConditionalCase] = [
    .init(answer: .whole),
    .init("Range: bytes=0-0", answer: .part(0, 0)),
    .init("Range: bytes=0-499", answer: .part(0, 499)),
    .init("Range: bytes=500-999", answer: .part(500, 999)),
    .init("Range: bytes=99999-99999", answer: .part(99_999, 99_999)),
    .init("Range: bytes=0-", answer: .part(0, 99_999)),
    .init("Range: bytes=99000-", answer: .part(99_000, 99_999)),
    .init("Range: bytes=90000-200000", answer: .part(90_000, 99_999)),
    .init("Range: bytes=-1", answer: .part(99_999, 99_999)),
    .init("Range: bytes=-500", answer: .part(99_500, 99_999)),
    .init("Range: bytes=-100000", answer: .part(0, 99_999)),
    .init("Range: bytes=-100001", answer: .part(0, 99_999)),
    .init("Range: bytes=0-99999999999999999999999", answer: .part(0, 99_999)),
    .init("Range: bytes=-99999999999999999999999", answer: .part(0, 99_999)),
    .init("Range: Bytes=0-9", answer: .part(0, 9)),
    .init("Range: bytes=0-9,", answer: .part(0, 9)),
    .init("Range: bytes= 0-9 , 20-29", answer: .parts([0...9, 20...29])),
    .init("Range: bytes=0-0,-1", answer: .parts([0...0, 99_999...99_999])),
    .init("Range: bytes=0-9,20-29", answer: .parts([0...9, 20...29])),
    .init("Range: bytes=500-600,0-9", answer: .parts([500...600, 0...9])),
    .init("Range: bytes=0-9,200000-,20-29", answer: .parts([0...9, 20...29])),
    // Section 15.3.7.2 lets a server put together what overlaps or touches.
    .init("Range: bytes=0-9,5-14", answer: .part(0, 14)),
    .init("Range: bytes=0-9,10-19", answer: .part(0, 19)),
    .init("Range: bytes=0-9,0-9,0-9", answer: .part(0, 9)),
    .init("Range: bytes=0-9,200000-", answer: .part(0, 9)),
    // More than the limit of eight: the field is ignored (section 14.2 allows it).
    .init(
      "Range: bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14",
      answer: .parts([0...0, 2...2, 4...4, 6...6, 8...8, 10...10, 12...12, 14...14])),
    .init("Range: bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", answer: .whole),
    .init("Range: bytes=100000-", answer: .unsatisfiable),
    .init("Range: bytes=100000-100001", answer: .unsatisfiable),
    .init("Range: bytes=99999999999999999999999-", answer: .unsatisfiable),
    .init("Range: bytes=-0", answer: .unsatisfiable),
    .init("Range: bytes=200000-,300000-", answer: .unsatisfiable),
  ]

  /// An unknown unit or a set that is not one is ignored (section 14.2).
  static let malformedRanges: [ConditionalCase] = [
    .init("Range: bytes", answer: .whole),
    .init("Range: bytes=", answer: .whole),
    .init("Range: bytes=-", answer: .whole),
    .init("Range: bytes=9-0", answer: .whole),
    .init("Range: bytes=a-b", answer: .whole),
    .init("Range: bytes=0x0-0x9", answer: .whole),
    .init("Range: bytes=+0-9", answer: .whole),
    .init("Range: bytes=0--9", answer: .whole),
    .init("Range: bytes=0-9;10-19", answer: .whole),
    .init("Range: bytes=0-9,x", answer: .whole),
    .init("Range: bytes=0 - 9", answer: .whole),
    .init("Range: items=0-9", answer: .whole),
    .init("Range: 0-9", answer: .whole),
  ]

  /// Sections 13.1.1 and 13.1.2.
  static let tags: [ConditionalCase] = [
    .init("If-Match: {etag}", answer: .whole),
    .init("If-Match: *", answer: .whole),
    .init("If-Match: \"x\", {etag}", answer: .whole),
    .init("If-Match: \"x\"", answer: .failed),
    .init("If-Match: \"x\", \"y\"", answer: .failed),
    // The comparison is strong.
    .init("If-Match: W/{etag}", answer: .failed),
    .init("If-None-Match: {etag}", answer: .notModified),
    .init("If-None-Match: *", answer: .notModified),
    .init("If-None-Match: \"x\", {etag}, \"y\"", answer: .notModified),
    .init("If-None-Match: \"a,b\", {etag}", answer: .notModified),
    .init("If-None-Match: \"x\"", answer: .whole),
    .init("If-None-Match: \"x\", W/\"y\"", answer: .whole),
    // The comparison is weak.
    .init("If-None-Match: W/{etag}", answer: .notModified),
  ]

  /// Sections 13.1.3 and 13.1.4; a field that is no date is ignored.
  static let dates: [ConditionalCase] = [
    .init("If-Modified-Since: \(date)", answer: .notModified),
    .init("If-Modified-Since: \(rfc850)", answer: .notModified),
    .init("If-Modified-Since: \(asctime)", answer: .notModified),
    .init("If-Modified-Since: \(after)", answer: .notModified),
    .init("If-Modified-Since: \(before)", answer: .whole),
    .init("If-Modified-Since: yesterday", answer: .whole),
    .init("If-Modified-Since: Sun, 35 Mar 2023 07:08:09 GMT", answer: .whole),
    .init("If-Unmodified-Since: \(date)", answer: .whole),
    .init("If-Unmodified-Since: \(rfc850)", answer: .whole),
    .init("If-Unmodified-Since: \(asctime)", answer: .whole),
    .init("If-Unmodified-Since: \(after)", answer: .whole),
    .init("If-Unmodified-Since: \(before)", answer: .failed),
    .init("If-Unmodified-Since: yesterday", answer: .whole),
  ]

  /// Section 13.2.2, in its order, and If-Range (13.1.5).
  static let combinations: [ConditionalCase] = [
    .init("If-Range: {etag}", "Range: bytes=0-9", answer: .part(0, 9)),
    .init("If-Range: \"x\"", "Range: bytes=0-9", answer: .whole),
    .init("If-Range: W/{etag}", "Range: bytes=0-9", answer: .whole),
    .init("If-Range: \(date)", "Range: bytes=0-9", answer: .part(0, 9)),
    .init("If-Range: \(before)", "Range: bytes=0-9", answer: .whole),
    .init("If-Range: \(after)", "Range: bytes=0-9", answer: .whole),
    .init("If-Range: {etag}", answer: .whole),
    .init("If-Range: \"x\"", "Range: bytes=200000-", answer: .whole),
    .init("If-Range: {etag}", "Range: bytes=0-9,20-29", answer: .parts([0...9, 20...29])),
    .init("If-Match: {etag}", "Range: bytes=0-9", answer: .part(0, 9)),
    .init("If-Match: \"x\"", "Range: bytes=0-9", answer: .failed),
    .init("If-Match: \"x\"", "Range: bytes=200000-", answer: .failed),
    .init("If-None-Match: {etag}", "Range: bytes=0-9", answer: .notModified),
    .init("If-None-Match: {etag}", "Range: bytes=200000-", answer: .notModified),
    .init("If-None-Match: \"x\"", "Range: bytes=0-9", answer: .part(0, 9)),
    // If-Match makes If-Unmodified-Since unimportant, If-None-Match makes If-Modified-Since so.
    .init("If-Match: {etag}", "If-Unmodified-Since: \(before)", answer: .whole),
    .init("If-Match: \"x\"", "If-Unmodified-Since: \(after)", answer: .failed),
    .init("If-None-Match: \"x\"", "If-Modified-Since: \(after)", answer: .whole),
    .init("If-None-Match: {etag}", "If-Modified-Since: \(before)", answer: .notModified),
    .init("If-Match: {etag}", "If-None-Match: {etag}", answer: .notModified),
    .init("If-Match: \"x\"", "If-None-Match: {etag}", answer: .failed),
    .init("If-Unmodified-Since: \(before)", "If-None-Match: {etag}", answer: .failed),
    .init("If-Unmodified-Since: \(date)", "If-Modified-Since: \(date)", answer: .notModified),
    .init("If-Unmodified-Since: \(date)", "Range: bytes=-5", answer: .part(99_995, 99_999)),
    .init("If-Modified-Since: \(before)", "Range: bytes=5-6", answer: .part(5, 6)),
    .init("If-Modified-Since: \(date)", "Range: bytes=5-6", answer: .notModified),
    .init(
      "If-Match: {etag}", "If-None-Match: \"x\"", "If-Range: {etag}", "Range: bytes=0-9",
      answer: .part(0, 9)),
  ]
}
