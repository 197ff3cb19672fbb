/// An address of the Internet Protocol, either version.
package enum IPAddress: Hashable, Sendable, Comparable {
  /// Host order: 127.0.0.1 is 0x7f00_0001.
  case v4(UInt32)
  /// The high and the low half, host order.
  case v6(UInt64, UInt64)

  package static let loopback = IPAddress.v4(0x7f00_0001)

  /// `::ffff:a.b.c.d` as the version 4 address it stands for; anything else as it is.
  @inlinable package var unmapped: IPAddress {
    if case .v6(0, let low) = self, low >> 32 == 0xffff {
      return .v4(UInt32(truncatingIfNeeded: low))
    }
    return self
  }

  /// The network that counts as near when no label says more: /24 of version 4, /56 of version 6.
  @inlinable package var site: IPAddress {
    switch unmapped {
    case .v4(let word): .v4(word & 0xffff_ff00)
    case .v6(let high, _): .v6(high & 0xffff_ffff_ffff_ff00, 0)
    }
  }

  package static func < (left: Self, right: Self) -> Bool {
    switch (left, right) {
    case (.v4(let a), .v4(let b)): a < b
    case (.v4, .v6): true
    case (.v6, .v4): false
    case (.v6(let a, let b), .v6(let c, let d)): (a, b) < (c, d)
    }
  }
}

/// An address and a port: where a listener can be reached.
package struct Endpoint: Hashable, Sendable, Comparable {
  package var address: IPAddress
  package var port: UInt16

  package init(address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  package static func < (left: Self, right: Self) -> Bool {
    (left.address, left.port) < (right.address, right.port)
  }
}

extension IPAddress: CustomStringConvertible {
  /// Dotted quad, or RFC 5952 text.
  package var description: String {
    switch self {
    case .v4(let word):
      return [24, 16, 8, 0].map { String(word >> UInt32($0) & 0xff) }.joined(separator: ".")
    case .v6(let high, let low):
      let groups =
        [48, 32, 16, 0].map { high >> UInt64($0) & 0xffff }
        + [48, 32, 16, 0].map { low >> UInt64($0) & 0xffff }
      guard let gap = longestZeroRun(in: groups) else {
        return groups.map { String($0, radix: 16) }.joined(separator: ":")
      }
      let text = { (part: ArraySlice<UInt64>) in
        part.map { String($0, radix: 16) }.joined(separator: ":")
      }
      return text(groups[..<gap.lowerBound]) + "::" + text(groups[gap.upperBound...])
    }
  }

  private func longestZeroRun(in groups: [UInt64]) -> Range<Int>? {
    var best: Range<Int>?
    var start = 0
    while start < groups.count {
      var end = start
      while end < groups.count, groups[end] == 0 { end += 1 }
      if end - start > max(1, best?.count ?? 0) { best = start..<end }
      start = end + 1
    }
    return best
  }

  /// Reads a literal address; nil for names and for anything malformed. No zone identifiers.
  package init?(_ text: some StringProtocol) {
    if text.utf8.contains(UInt8(ascii: ":")) {
      guard let groups = Self.groups(of: String(text)) else { return nil }
      let high = groups[..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
      self = .v6(high, groups[4...].reduce(UInt64(0)) { $0 << 16 | UInt64($1) })
    } else {
      guard let word = Self.quad(String(text)) else { return nil }
      self = .v4(word)
    }
  }

  private static func quad(_ text: String) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var word: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
        part.utf8.count == 1 || part.utf8.first != 48, let byte = UInt8(part)
      else { return nil }
      word = word << 8 | UInt32(byte)
    }
    return word
  }

  private static func groups(of text: String) -> [UInt16]? {
    let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
    guard halves.count <= 2 else { return nil }
    var sides: [[UInt16]] = []
    for (index, half) in halves.enumerated() {
      guard let side = hexGroups(String(half), endsAddress: index == halves.count - 1) else {
        return nil
      }
      sides.append(side)
    }
    let total = sides.reduce(0) { $0 + $1.count }
    guard sides.count == 2 ? total <= 7 : total == 8 else { return nil }
    return sides.count == 2
      ? sides[0] + Array(repeating: 0, count: 8 - total) + sides[1] : sides[0]
  }

  private static func hexGroups(_ text: String, endsAddress: Bool) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    var groups: [UInt16] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if endsAddress, index == parts.count - 1, part.contains("."), let word = quad(String(part)) {
        groups += [UInt16(word >> 16), UInt16(word & 0xffff)]
      } else {
        guard (1...4).contains(part.utf8.count), part.first != "+", part.first != "-",
          let group = UInt16(part, radix: 16)
        else { return nil }
        groups.append(group)
      }
    }
    return groups
  }
}

extension Endpoint: CustomStringConvertible {
  package var description: String {
    if case .v6 = address { return "[\(address)]:\(port)" }
    return "\(address):\(port)"
  }

  /// Reads `1.2.3.4:80` or `[::1]:80`; nil for anything else.
  package init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let portText = text[text.index(after: colon)...]
    guard !portText.isEmpty, portText.utf8.allSatisfy({ (48...57).contains($0) }),
      let port = UInt16(portText)
    else { return nil }
    var host = text[..<colon]
    if host.first == "[" {
      guard host.last == "]" else { return nil }
      host = host.dropFirst().dropLast()
      guard let address = IPAddress(host), case .v6 = address else { return nil }
      self.init(address: address, port: port)
    } else {
      guard let address = IPAddress(host), case .v4 = address else { return nil }
      self.init(address: address, port: port)
    }
  }
}
