/// An HTTP status code and the phrase that goes with it (RFC 9110 section 15).
package struct Status: Hashable, Sendable, CustomStringConvertible {
  /// 100 to 599.
  package let code: UInt16

  package init(_ code: UInt16) {
    precondition((100...599).contains(code), "a status code has three digits and a class")
    self.code = code
  }

  package static let `continue` = Status(100)
  package static let ok = Status(200)
  package static let created = Status(201)
  package static let accepted = Status(202)
  package static let noContent = Status(204)
  package static let partialContent = Status(206)
  package static let movedPermanently = Status(301)
  package static let found = Status(302)
  package static let notModified = Status(304)
  package static let temporaryRedirect = Status(307)
  package static let badRequest = Status(400)
  package static let forbidden = Status(403)
  package static let notFound = Status(404)
  package static let methodNotAllowed = Status(405)
  package static let notAcceptable = Status(406)
  package static let requestTimeout = Status(408)
  package static let conflict = Status(409)
  package static let gone = Status(410)
  package static let lengthRequired = Status(411)
  package static let preconditionFailed = Status(412)
  package static let contentTooLarge = Status(413)
  package static let uriTooLong = Status(414)
  package static let unsupportedMediaType = Status(415)
  package static let rangeNotSatisfiable = Status(416)
  package static let expectationFailed = Status(417)
  package static let tooManyRequests = Status(429)
  package static let fieldsTooLarge = Status(431)
  package static let internalServerError = Status(500)
  package static let notImplemented = Status(501)
  /// What a client says of a response it cannot trust.
  package static let badGateway = Status(502)
  package static let serviceUnavailable = Status(503)
  package static let gatewayTimeout = Status(504)
  package static let versionNotSupported = Status(505)

  package var isInterim: Bool { code < 200 }
  package var isSuccess: Bool { (200..<300).contains(code) }

  /// Neither may be followed by a body, whatever the fields say (RFC 9112 section 6.3).
  package var forbidsBody: Bool { code < 200 || code == 204 || code == 304 }

  package var phrase: String {
    switch code {
    case 100: "Continue"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 206: "Partial Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 400: "Bad Request"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 411: "Length Required"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 417: "Expectation Failed"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
  }

  package var description: String { "\(code) \(phrase)" }
}

/// Why bytes from the network were refused, and the status that tells the sender so. On the client
/// side, where nobody is told, the status is `badGateway`.
package struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
  package let status: Status
  package let reason: String

  package init(_ status: Status, _ reason: String) {
    self.status = status
    self.reason = reason
  }

  package var description: String { "\(status): \(reason)" }
}
