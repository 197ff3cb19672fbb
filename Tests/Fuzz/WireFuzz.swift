// One entry point for libFuzzer: the first byte chooses the reader, the rest is what it reads. Nothing
// that comes from outside may trap, whatever it is; and what was read must be written again the same.
// Built by `run.sh` together with the sources it tests, so there is nothing to import.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  guard count > 0 else { return 0 }
  let bytes = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
  do {
    switch start.pointee % 14 {
    case 0: try fuzzRequest(bytes)
    case 1: try fuzzResponse(bytes)
    case 2: try fuzzChunked(bytes)
    case 3: try fuzzAnnounce(bytes)
    case 4: try fuzzReferral(bytes)
    case 5: try fuzzTree(bytes)
    case 6: try fuzzHave(bytes)
    case 7: try fuzzManifest(bytes)
    case 8: _ = try JSONValue(bytes.span)
    case 9: fuzzRange(bytes)
    case 10: try fuzzTarget(bytes)
    case 11: fuzzTexts(String(decoding: bytes, as: UTF8.self))
    case 12: try fuzzURL(String(decoding: bytes, as: UTF8.self))
    default: try fuzzConditions(bytes)
    }
  } catch {
    // Refused, as most of it is.
  }
  return 0
}

private func fuzzRequest(_ bytes: [UInt8]) throws {
  var scanner = HeadScanner()
  var verdict: Int?
  var refusal: WireError?
  do throws(WireError) { verdict = try scanner.scan(bytes.span) } catch { refusal = error }
  // Byte by byte the verdict is the same.
  var slow = HeadScanner()
  var slowVerdict: Int?
  var slowRefusal: WireError?
  do throws(WireError) {
    for end in 1..<max(2, bytes.count + 1) where end <= bytes.count {
      slowVerdict = try slow.scan(bytes.span.extracting(0..<end))
      if slowVerdict != nil { break }
    }
  } catch { slowRefusal = error }
  precondition(verdict == slowVerdict && refusal == slowRefusal, "a split changes the verdict")
  _ = try? RequestHead(bytes.span)
  guard let verdict else { return }
  let head = try RequestHead(bytes.span.extracting(0..<verdict))
  for name in FieldName.allCases { _ = head.value(of: name, in: bytes.span) }
  _ = head.accepts("application/json", in: bytes.span)
  _ = try RequestTarget(bytes.span, head.path)
  if let query = head.query { _ = try TreeQuery(bytes.span, query) }
}

private func fuzzResponse(_ bytes: [UInt8]) throws {
  var scanner = HeadScanner(.response)
  guard let count = try scanner.scan(bytes.span) else { return }
  let head = try ResponseHead(bytes.span.extracting(0..<count))
  for name in FieldName.allCases { _ = head.value(of: name, in: bytes.span) }
  _ = head.bodyFraming(forMethod: .get)
  _ = head.retryAfter(in: bytes.span)
}

private func fuzzChunked(_ bytes: [UInt8]) throws {
  var decoder = ChunkedDecoder(fault: .badRequest)
  var position = 0
  reading: while true {
    switch try decoder.next(bytes.span, at: &position) {
    case .body(let range): precondition(!range.isEmpty && range.upperBound <= bytes.count)
    case .needsMore, .end: break reading
    }
  }
}

private func fuzzAnnounce(_ bytes: [UInt8]) throws {
  let announce = try Announce.decode(bytes.span)
  let again = try Announce.decode(announce.encode().span)
  precondition(again == announce, "an announce comes back")
}

private func fuzzReferral(_ bytes: [UInt8]) throws {
  let referral = try Referral.decode(bytes.span)
  let again = try Referral.decode(referral.encode().span)
  precondition(again == referral && !referral.json().isEmpty, "a referral comes back")
}

private func fuzzTree(_ bytes: [UInt8]) throws {
  let query = try TreeQuery(bytes.span, 0..<bytes.count)
  for leafCount in [0, 1, 21, 1 << 20] {
    if let slice = query.slice(of: TreeShape(leafCount: leafCount)) {
      precondition(TreeQuery(slice).slice(of: slice.shape) == slice, "a slice comes back")
      _ = try? TreeMessage.decode(bytes.span, for: slice)
    }
  }
}

private func fuzzHave(_ bytes: [UInt8]) throws {
  var decoder = HaveDecoder(pieceCount: 10)
  var frames: [HaveFrame] = []
  try decoder.decode(bytes.span, into: &frames)
  var again: [HaveFrame] = []
  var second = HaveDecoder(pieceCount: 10)
  let stream = HaveFrame.preamble + frames.flatMap { $0.encode() }
  try second.decode(stream.span, into: &again)
  precondition(again == frames, "frames come back")
}

private func fuzzManifest(_ bytes: [UInt8]) throws {
  let manifest = try Manifest.parse(bytes.span)
  let again = try Manifest.parse(manifest.json().span)
  precondition(again == manifest, "a manifest comes back")
}

private func fuzzRange(_ bytes: [UInt8]) {
  for byteCount in [0, 1, 100, Int.max] {
    switch RangeRequest.parse(bytes.span, 0..<bytes.count, byteCount: byteCount) {
    case .whole, .unsatisfiable: break
    case .one(let range): precondition(range.end <= byteCount)
    case .several(let ranges):
      precondition((2...8).contains(ranges.count) && ranges.allSatisfy { $0.end <= byteCount })
      _ = MultipartRanges(ranges: ranges, of: byteCount, partType: "a/b", boundary: "b")
    }
  }
}

private func fuzzTarget(_ bytes: [UInt8]) throws {
  _ = try? QueryItem.parse(bytes.span, 0..<bytes.count)
  let target = try RequestTarget(bytes.span, 0..<bytes.count)
  for part in target.relativePath.split(separator: "/", omittingEmptySubsequences: false) {
    precondition(part != ".." && part != "." && !part.utf8.contains(0), "no way out")
  }
  let again = try RequestTarget(path: "/" + PercentEncoding.encode(path: target.relativePath))
  precondition(again.relativePath == target.relativePath, "a name comes back")
}

private func fuzzTexts(_ text: String) {
  if let seconds = HTTPDate.parse(text) {
    let written = String(decoding: HTTPDate.format(seconds), as: UTF8.self)
    precondition(HTTPDate.parse(written) == seconds, "a date comes back")
  }
  _ = ContentRange(text)
  _ = ContentType.of(text)
  if let tag = EntityTag(text) { precondition(EntityTag(tag.text) == tag, "a tag comes back") }
}

private func fuzzURL(_ text: String) throws {
  let url = try HTTPURL(parsing: text)
  let again = try HTTPURL(parsing: url.description)
  precondition(again == url, "a URL comes back")
  _ = url.fileName
}

private func fuzzConditions(_ bytes: [UInt8]) throws {
  let fields = Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8) + bytes + Array("\r\n\r\n".utf8)
  let head = try RequestHead(fields.span)
  let validators = Validators(etag: EntityTag(PackageID(root: .zero)), modified: 784_111_777)
  _ = Preconditions.evaluate(head, in: fields.span, validators)
  _ = Preconditions.range(head, in: fields.span, validators, byteCount: 100)
}
