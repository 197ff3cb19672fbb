package import Content

/// Digests of many messages at once. Messages may have any lengths.
package enum LaneDigester {
  package static func sha256(of messages: [UnsafeRawBufferPointer]) -> [SHA256Digest] {
    var context = DigestContext(.sha256)
    return messages.map { message in
      context.update(message)
      return context.finish { SHA256Digest($0) }
    }
  }

  package static func sha1(of messages: [UnsafeRawBufferPointer]) -> [SHA1Digest] {
    var context = DigestContext(.sha1)
    return messages.map { message in
      context.update(message)
      return context.finish { SHA1Digest($0) }
    }
  }

  package static func md5(of messages: [UnsafeRawBufferPointer]) -> [MD5Digest] {
    var context = DigestContext(.md5)
    return messages.map { message in
      context.update(message)
      return context.finish { MD5Digest($0) }
    }
  }
}
