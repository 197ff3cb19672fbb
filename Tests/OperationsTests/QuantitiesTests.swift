import Content
import Testing

@testable import Operations

@Suite struct QuantitiesTests {
  @Test(arguments: [
    ("0", 0), ("512", 512), ("512b", 512), ("1k", 1_024), ("64K", 65_536), ("1kB", 1_000),
    ("1KiB", 1_024), ("1.5MiB", 1_572_864), ("10MB", 10_000_000), ("10 GiB", 10 << 30),
    ("2T", 2 << 40), ("1tb", 1_000_000_000_000), (".5k", 512), ("1.", 1),
  ])
  func sizesAreRead(text: String, byteCount: Int) {
    #expect(Quantities.byteCount(text) == byteCount)
  }

  @Test(arguments: [
    "", " ", "k", ".", "1..2", "1.2.3", "-1", "+1", "1e3", "0x10", "nan", "inf", "1kk", "1 k b",
    "1kbit", "1/s", "1PB", "٣", "1\u{301}", "9999999999999999999T", "4611686018427387904", "1_000",
    " 1",
  ])
  func malformedSizesAreRefused(text: String) {
    #expect(Quantities.byteCount(text) == nil)
  }

  @Test(arguments: [
    ("10MB/s", 10_000_000), ("10MB", 10_000_000), ("1KiB/S", 1_024), ("100Mbit", 12_500_000),
    ("8bit", 1), ("1Gbit/s", 125_000_000), ("1.6kbit", 200), ("0", 0),
  ])
  func ratesAreRead(text: String, byteRate: Int) {
    #expect(Quantities.byteRate(text) == byteRate)
  }

  @Test(arguments: [
    "", "/s", "bit", "bit/s", "10Mibit", "10MB/h", "10MB/s/s", "-1Mbit", "10 Mbits",
    String(repeating: "9", count: 40) + "Gbit", String(repeating: "9", count: 400),
  ])
  func malformedRatesAreRefused(text: String) {
    #expect(Quantities.byteRate(text) == nil)
  }

  @Test(arguments: [
    ("0", Duration.zero), ("30", .seconds(30)), ("30s", .seconds(30)),
    ("500ms", .milliseconds(500)), ("1.5m", .seconds(90)), ("2H", .seconds(7_200)),
    ("1d", .seconds(86_400)), ("5 m", .seconds(300)),
  ])
  func durationsAreRead(text: String, duration: Duration) {
    #expect(Quantities.duration(text) == duration)
  }

  @Test(arguments: ["", "s", "-1s", "1w", "1s2", "1h30m", "1000000000", "99999999d", "∞"])
  func malformedDurationsAreRefused(text: String) {
    #expect(Quantities.duration(text) == nil)
  }

  @Test(arguments: [
    (0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_499, "999.5 kB"), (999_500, "1.0 MB"),
    (12_345_678, "12.3 MB"), (5_000_000_000, "5.0 GB"), (1 << 50, "1125.9 TB"),
    (.max, "9223372.0 TB"),
  ])
  func sizesAreDescribed(byteCount: Int, text: String) {
    #expect(Quantities.describe(byteCount: byteCount) == text)
  }

  @Test(arguments: [
    (Duration.zero, "0:00"), (.milliseconds(1), "0:01"), (.seconds(59), "0:59"),
    (.seconds(60), "1:00"), (.seconds(3_599), "59:59"), (.seconds(3_723), "1:02:03"),
    (.seconds(-5), "0:00"), (.nanoseconds(Int64.max), "2562047:47:17"),
    (.seconds(Int64.max), "2562047:47:17"),
  ])
  func clocksAreDescribed(duration: Duration, text: String) {
    #expect(Quantities.describe(clock: duration) == text)
  }

  @Test(arguments: [
    (0.0, 0, "0"), (0.05, 1, "0.1"), (-0.04, 1, "0.0"), (-1.25, 1, "-1.3"), (1.005, 3, "1.005"),
    (99.96, 1, "100.0"), (7, 2, "7.00"), (.infinity, 2, "inf"), (.nan, 0, "nan"),
  ])
  func decimalsAreExact(value: Double, places: Int, text: String) {
    #expect(Quantities.rounded(value, places: places) == text)
  }
}

@Suite struct CalendarTimeTests {
  @Test(arguments: [
    (0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (86_399, "1970-01-01T23:59:59Z"),
    (951_782_400, "2000-02-29T00:00:00Z"), (951_868_800, "2000-03-01T00:00:00Z"),
    (1_078_012_800, "2004-02-29T00:00:00Z"), (4_107_542_399, "2100-02-28T23:59:59Z"),
    (4_107_542_400, "2100-03-01T00:00:00Z"), (1_709_164_800, "2024-02-29T00:00:00Z"),
    (1_735_689_599, "2024-12-31T23:59:59Z"), (2_147_483_648, "2038-01-19T03:14:08Z"),
    (-2_203_891_201, "1900-02-28T23:59:59Z"), (-2_203_891_200, "1900-03-01T00:00:00Z"),
    (-11_676_096_000, "1600-01-01T00:00:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
  ])
  func datesAreThoseOfTheCalendar(seconds: Int, text: String) {
    #expect(CalendarTime(secondsSince1970: seconds).description == text)
  }

  @Test func noSecondTraps() {
    for seconds in [Int.min, .min + 1, .max - 1, .max] {
      #expect(CalendarTime(secondsSince1970: seconds).description.hasSuffix("Z"))
    }
  }
}
