package import Content

/// The body of a 206 with several ranges: `multipart/byteranges` (RFC 9110 section 14.6). The parts'
/// heads are made here; the bytes between them come from the file.
package struct MultipartRanges: Sendable {
  package let ranges: [ByteRange]
  /// What goes before each range, the first included.
  package let partHeads: [[UInt8]]
  /// What ends the body.
  package let closing: [UInt8]
  /// Of the Content-Type field.
  package let contentType: String
  /// Of the whole body, exactly: the Content-Length. Nil when it is not representable.
  package let byteCount: Int?

  /// `boundary` has letters and digits only, at most 70, and does not occur in the file (random
  /// ones do not); `partType` is the file's own type.
  package init(ranges: [ByteRange], of fileByteCount: Int, partType: String, boundary: String) {
    precondition(
      (1...70).contains(boundary.utf8.count)
        && boundary.utf8.allSatisfy {
          Grammar.isDigit($0) || ($0 | 0x20) &- UInt8(ascii: "a") < 26
        }, "a boundary has 1 to 70 letters and digits")
    self.ranges = ranges
    partHeads = ranges.enumerated().map { index, range in
      var bytes = Array((index == 0 ? "--" : "\r\n--").utf8)
      bytes.append(contentsOf: boundary.utf8)
      bytes.append(contentsOf: HeadWriter.chunkEnd)
      HeadWriter.field(.contentType, partType, to: &bytes)
      HeadWriter.contentRange(range, of: fileByteCount, to: &bytes)
      HeadWriter.end(to: &bytes)
      return bytes
    }
    closing = Array("\r\n--\(boundary)--\r\n".utf8)
    contentType = "multipart/byteranges; boundary=\(boundary)"
    var total = partHeads.reduce(closing.count) { $0 + $1.count }
    var isRepresentable = true
    for range in ranges {
      let (sum, overflow) = total.addingReportingOverflow(range.count)
      isRepresentable = isRepresentable && !overflow
      total = sum
    }
    byteCount = isRepresentable ? total : nil
  }
}
