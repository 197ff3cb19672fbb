package import Content

/// SHA-256 (FIPS 180-4) of one message that arrives in parts.
package struct SHA256Stream: ~Copyable, Sendable {
  private var context = DigestContext(.sha256)

  package init() {}

  /// Takes the next bytes of the message, any number of them.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) { context.update(bytes) }

  /// The digest of all bytes since the last `finish`; the stream is then ready for a new message.
  package mutating func finish() -> SHA256Digest { context.finish { SHA256Digest($0) } }
}

/// MD5 (RFC 1321) of one message that arrives in parts. An identifier, not a proof.
package struct MD5Stream: ~Copyable, Sendable {
  private var context = DigestContext(.md5)

  package init() {}

  /// Takes the next bytes of the message, any number of them.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) { context.update(bytes) }

  /// The digest of all bytes since the last `finish`; the stream is then ready for a new message.
  package mutating func finish() -> MD5Digest { context.finish { MD5Digest($0) } }
}

/// SHA-1 (FIPS 180-4) of one message that arrives in parts, for the old protocols that name
/// content with it. An identifier, not a proof.
package struct SHA1Stream: ~Copyable, Sendable {
  private var context = DigestContext(.sha1)

  package init() {}

  /// Takes the next bytes of the message, any number of them.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) { context.update(bytes) }

  /// The digest of all bytes since the last `finish`; the stream is then ready for a new message.
  package mutating func finish() -> SHA1Digest { context.finish { SHA1Digest($0) } }
}
