import Content
package import Posix
import Transport
import Wire

extension ServerConnection {
  /// Answers a GET or HEAD with the plan's status, fields and slices of `file`.
  /// - Parameters:
  ///   - observer: told when the body has left, or failed to.
  ///   - fields: appends more fields, of this response only.
  package func respond(
    _ plan: ContentPlan, with representation: Representation, file: OpenFile,
    observer: (any ResponseObserver)? = nil, fields: (inout [UInt8]) -> Void = { _ in }
  ) {
    guard isOpen else { return }
    switch plan {
    case .notModified:
      respond(.notModified, observer: observer) {
        $0 += representation.validatorFields
        fields(&$0)
      }
    case .preconditionFailed:
      respondText(.preconditionFailed, "the file is not the one the conditions name")
      observer?.responseEnded(on: self, sentByteCount: 0, isComplete: true)
    case .unsatisfiable:
      respondText(.rangeNotSatisfiable, "the range lies behind the file's end") {
        $0 += representation.fields
        HeadWriter.contentRange(nil, of: representation.byteCount, to: &$0)
      }
      observer?.responseEnded(on: self, sentByteCount: 0, isComplete: true)
    case .whole:
      let whole = ByteRange(offset: 0, count: representation.byteCount)
      send(.ok, representation, whole, of: file, observer, fields)
    case .range(let range):
      send(.partialContent, representation, range, of: file, observer) {
        HeadWriter.contentRange(range, of: representation.byteCount, to: &$0)
        fields(&$0)
      }
    case .ranges(let ranges):
      sendParts(ranges, representation, of: file, observer, fields)
    }
  }

  /// The way of a plain download: no allocation but what the queue of the stream needs. `range` is
  /// nil for an empty file.
  private func send(
    _ status: Status, _ representation: Representation, _ range: ByteRange?, of file: OpenFile,
    _ observer: (any ResponseObserver)?, _ fields: (inout [UInt8]) -> Void
  ) {
    let isLast = server.isDraining
    let isWhole = range?.count ?? 0 == representation.byteCount && status == .ok
    writeHead(status, length: isWhole ? nil : range?.count ?? 0, isLast: isLast) {
      if isWhole {
        $0 += representation.wholeFields
      } else {
        HeadWriter.field(.contentType, representation.contentType, to: &$0)
        $0 += representation.fields
      }
      fields(&$0)
    }
    var byteCount = 0
    if let range, !machine.isHeadRequest {
      if let content = representation.content, isWhole {
        stream.send(content)
      } else if let content = representation.content {
        content.withUnsafeBytes {
          stream.send(UnsafeRawBufferPointer(rebasing: $0[range.offset..<range.end]))
        }
      } else {
        stream.send(FileSlice(file: file, range: range))
      }
      byteCount = range.count
      charge(contentByteCount: byteCount)
    }
    finishResponse(byteCount, observer: observer, endsConnection: isLast)
  }

  /// Several ranges, or the whole when they cannot be framed.
  private func sendParts(
    _ ranges: [ByteRange], _ representation: Representation, of file: OpenFile,
    _ observer: (any ResponseObserver)?, _ fields: (inout [UInt8]) -> Void
  ) {
    let layout = ContentPlan.ranges(ranges).layout(of: representation)
    let isLast = server.isDraining
    writeHead(layout.status, length: layout.byteCount, isLast: isLast) {
      layout.appendFields(to: &$0)
      fields(&$0)
    }
    var sentByteCount = 0
    if !machine.isHeadRequest {
      for part in layout.parts {
        switch part {
        case .bytes(let bytes): stream.send(bytes)
        case .range(let range):
          stream.send(FileSlice(file: file, range: range))
          charge(contentByteCount: range.count)
        }
      }
      sentByteCount = layout.byteCount ?? 0
    }
    finishResponse(sentByteCount, observer: observer, endsConnection: isLast)
  }
}
