import Testing

@testable import Content

@Suite struct EndpointTests {
  /// The examples of RFC 5952, and their long forms of RFC 4291.
  @Test(arguments: [
    ("2001:db8::1", "2001:db8::1"), ("2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
    ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("2001:DB8::AAAA", "2001:db8::aaaa"), ("0:0:0:0:0:0:0:0", "::"), ("::", "::"),
    ("0:0:0:0:0:0:0:1", "::1"), ("1::", "1::"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("::ffff:1.2.3.4", "::ffff:102:304"),
    ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("fe80:0:0:0:1:2:3:4", "fe80::1:2:3:4"),
    ("0.0.0.0", "0.0.0.0"), ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"),
  ])
  func addressesAreReadAndWritten(text: String, canonical: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.description == canonical)
    #expect(IPAddress(canonical) == address)
  }

  @Test(arguments: [
    "", ".", ":", ":::", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1.2.3.+4", "01.2.3.4",
    "1.2.3.04", "1..2.3", ".1.2.3", "1.2.3.", " 1.2.3.4", "1.2.3.4 ", "0x1.2.3.4", "1.2.3.1e1",
    "١.2.3.4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::1::", ":1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "12345::", "g::", "+1::", "-1::",
    "1.2.3.4::", "::1.2.3", "::1.2.3.4:5", "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4", "fe80::1%eth0",
    "[::1]", "::1 ", "localhost", "1.2.3.4:80", "::\u{301}1", "\0::1",
  ])
  func malformedAddressesAreRefused(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test func everyAddressReadsBackFromItsText() {
    var random = SeededGenerator(seed: 5_952)
    for _ in 0..<2_000 {
      // Groups of zeros are what the text treats specially.
      var halves = (random.next(), random.next())
      for shift in stride(from: UInt64(0), to: 64, by: 16) {
        if Bool.random(using: &random) { halves.0 &= ~(0xffff << shift) }
        if Bool.random(using: &random) { halves.1 &= ~(0xffff << shift) }
      }
      for address in [IPAddress.v6(halves.0, halves.1), .v4(UInt32(halves.0 >> 32))] {
        #expect(IPAddress(address.description) == address)
        let endpoint = Endpoint(address: address, port: UInt16(truncatingIfNeeded: random.next()))
        #expect(Endpoint(endpoint.description) == endpoint)
      }
    }
  }

  @Test(arguments: ["1.2.3.4:0", "1.2.3.4:65535", "[::1]:80", "[::]:8080"])
  func endpointsAreRead(text: String) {
    #expect(Endpoint(text)?.description == text)
  }

  @Test(arguments: [
    "", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1", "1.2.3.4: 80",
    "1.2.3.4:80 ", "1.2.3.4:8o", "1.2.3.4:٨", "[1.2.3.4]:80", "::1:80", "[::1:80", "::1]:80",
    "[::1]80", "[]:80", "[:80", "host:80", ":80", "[::1]:", "[[::1]]:80",
    "1.2.3.4:99999999999999999999",
  ])
  func malformedEndpointsAreRefused(text: String) {
    #expect(Endpoint(text) == nil)
  }

  @Test func mappedAddressesAreTheirOwn() {
    #expect(IPAddress("::ffff:1.2.3.4")?.unmapped == IPAddress("1.2.3.4"))
    for text in ["::1.2.3.4", "::fffe:1.2.3.4", "1::ffff:1.2.3.4", "1.2.3.4"] {
      #expect(IPAddress(text)?.unmapped == IPAddress(text))
    }
  }

  @Test(arguments: [
    ("10.1.2.3", "10.1.2.0"), ("::ffff:10.1.2.3", "10.1.2.0"),
    ("2001:db8:1:2ff:3:4:5:6", "2001:db8:1:200::"),
  ])
  func sitesArePrefixes(text: String, site: String) {
    #expect(IPAddress(text)?.site == IPAddress(site))
  }

  @Test func endpointsAreOrdered() throws {
    let texts = ["1.2.3.4:1", "1.2.3.4:2", "1.2.3.5:1", "[::1]:1", "[::2]:0", "[1::]:0"]
    let endpoints = try texts.map { try #require(Endpoint($0)) }
    #expect(endpoints.reversed().sorted() == endpoints)
  }
}
