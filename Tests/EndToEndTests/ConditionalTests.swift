import Foundation
import Testing

extension EndToEnd {
  /// Every case of the table, byte for byte.
  @Suite struct ConditionalTests {
    let folder: Folder
    let origin: Origin
    let bytes: [UInt8]
    let etag: String

    init() throws {
      folder = try Folder()
      try folder.directory("root")
      bytes = try folder.writeSample(
        "root/file.txt", byteCount: ConditionalCase.byteCount, seed: 7)
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSince1970: Double(ConditionalCase.modified))],
        ofItemAtPath: folder["root/file.txt"])
      etag = "\"\(packageID(of: bytes))\""
      origin = try Origin(folder["root"], in: folder)
      try origin.manifest("/file.txt")
    }

    @Test func theTableIsLarge() { #expect(ConditionalCase.all.count >= 90) }

    @Test func theOriginAnswersByTheRFC() throws { try check(port: origin.port, "/file.txt") }

    @Test func soItDoesForAPackage() throws {
      let path = "/-/package/\(etag.dropFirst().dropLast())"
      try check(port: origin.port, path, contentType: nil)
    }

    @Test func theGatewayAnswersByTheRFC() throws {
      let peer = try Peer(of: "http://127.0.0.1:\(origin.port)", cache: "cache", in: folder)
      try check(port: peer.gatewayPort, "/file.txt")
    }

    /// All on one connection, which every answer has to leave in order.
    private func check(port: UInt16, _ path: String, contentType: String? = "text/plain") throws {
      let connection = try Connection(port: port)
      for item in ConditionalCase.all {
        for method in ["GET", "HEAD"] {
          let fields = item.fields.map { $0.replacingOccurrences(of: "{etag}", with: etag) }
          let lines = ["\(method) \(path) HTTP/1.1", "Host: a"] + fields + ["", ""]
          connection.send(lines.joined(separator: "\r\n"))
          let response = try connection.receive(isHead: method == "HEAD")
          check(
            response, isHead: method == "HEAD",
            against: method == "HEAD" ? item.headAnswer : item.answer,
            Comment(rawValue: "\(method) \(path) \(item)"), contentType)
        }
      }
    }

    private func check(
      _ response: Response, isHead: Bool, against answer: ConditionalCase.Answer,
      _ comment: Comment, _ contentType: String?
    ) {
      #expect(response["date"] != nil, comment)
      var expectedBody: [UInt8]?
      switch answer {
      case .whole:
        #expect(response.status == 200, comment)
        #expect(response["content-length"] == "\(bytes.count)", comment)
        #expect(response["content-range"] == nil, comment)
        expectedBody = bytes
      case .part(let first, let last):
        #expect(response.status == 206, comment)
        #expect(response["content-length"] == "\(last - first + 1)", comment)
        #expect(response["content-range"] == "bytes \(first)-\(last)/\(bytes.count)", comment)
        expectedBody = Array(bytes[first...last])
      case .parts(let ranges):
        #expect(response.status == 206, comment)
        #expect(response["content-range"] == nil, comment)
        checkParts(response, ranges, comment)
      case .notModified:
        #expect(response.status == 304, comment)
        #expect(response.fields.allSatisfy { $0.name != "content-range" }, comment)
      case .failed:
        #expect(response.status == 412, comment)
      case .unsatisfiable:
        #expect(response.status == 416, comment)
        #expect(response["content-range"] == "bytes */\(bytes.count)", comment)
      }
      if let expectedBody {
        #expect(response.body == (isHead ? [] : expectedBody), comment)
        if let contentType {
          #expect(response["content-type"]?.hasPrefix(contentType) == true, comment)
        }
      }
      switch answer {
      case .whole, .part, .parts, .notModified:
        #expect(response["etag"] == etag, comment)
        #expect(response["last-modified"] == ConditionalCase.date, comment)
      case .failed, .unsatisfiable: break
      }
      switch answer {
      case .whole, .part, .parts: #expect(response["accept-ranges"] == "bytes", comment)
      case .notModified, .failed, .unsatisfiable: break
      }
    }

    /// RFC 2046 section 5.1, with the fields of RFC 9110 section 14.6 in each part.
    private func checkParts(
      _ response: Response, _ ranges: [ClosedRange<Int>], _ comment: Comment
    ) {
      let prefix = "multipart/byteranges; boundary="
      guard let type = response["content-type"], type.hasPrefix(prefix) else {
        Issue.record("no boundary in \(response["content-type"] ?? "-"): \(comment)")
        return
      }
      let boundary = type.dropFirst(prefix.count)
      var rest = response.body[...]
      for (index, range) in ranges.enumerated() {
        let opening = Array("\(index == 0 ? "" : "\r\n")--\(boundary)\r\n".utf8)
        #expect(rest.starts(with: opening), comment)
        rest = rest.dropFirst(opening.count)
        let end = Array("\r\n\r\n".utf8)
        guard let gap = rest.firstRange(of: end) else {
          Issue.record("a part without a head: \(comment)")
          return
        }
        let head = String(decoding: rest[..<gap.lowerBound], as: UTF8.self).lowercased()
        let wanted = "content-range: bytes \(range.lowerBound)-\(range.upperBound)/\(bytes.count)"
        #expect(head.components(separatedBy: "\r\n").contains(wanted), comment)
        #expect(head.contains("content-type: "), comment)
        rest = rest[gap.upperBound...]
        #expect(rest.prefix(range.count) == bytes[range], comment)
        rest = rest.dropFirst(range.count)
      }
      #expect(Array(rest) == Array("\r\n--\(boundary)--\r\n".utf8), comment)
    }
  }
}
