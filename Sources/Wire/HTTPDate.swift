/// Dates as HTTP writes them (RFC 9110 section 5.6.7), in whole seconds since 1970.
package enum HTTPDate {
  /// `Sun, 06 Nov 1994 08:49:37 GMT`. Seconds outside the years 0 to 9999 are moved to the nearest
  /// that is inside.
  package static func format(_ seconds: Int) -> [UInt8] {
    let clamped = min(max(seconds, secondsMin), secondsMax)
    let days = floorDivide(clamped, 86_400)
    let rest = clamped - days * 86_400
    let date = CivilDate(daysSince1970: days)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(29)
    // 1970 began on a Thursday.
    bytes.append(contentsOf: weekdays[((days + 4) % 7 + 7) % 7].utf8.prefix(3))
    bytes.append(contentsOf: ", ".utf8)
    appendTwoDigits(date.day, to: &bytes)
    bytes.append(Grammar.space)
    bytes.append(contentsOf: months[date.month - 1].utf8)
    bytes.append(Grammar.space)
    appendTwoDigits(date.year / 100, to: &bytes)
    appendTwoDigits(date.year % 100, to: &bytes)
    bytes.append(Grammar.space)
    appendTwoDigits(rest / 3_600, to: &bytes)
    bytes.append(UInt8(ascii: ":"))
    appendTwoDigits(rest / 60 % 60, to: &bytes)
    bytes.append(UInt8(ascii: ":"))
    appendTwoDigits(rest % 60, to: &bytes)
    bytes.append(contentsOf: " GMT".utf8)
    return bytes
  }

  /// Reads any of the three formats; nil for anything else. A year of two digits (RFC 850) is one of
  /// 1970 to 2069: this code has no clock to ask which is nearer.
  package static func parse(_ text: String) -> Int? {
    let words = text.split(separator: " ", omittingEmptySubsequences: true)
    switch words.count {
    case 6 where words[0].utf8.count == 4 && words[5] == "GMT":
      // Sun, 06 Nov 1994 08:49:37 GMT
      guard let weekday = words[0].last, weekday == ",", isWeekday(words[0].dropLast(), short: true)
      else { return nil }
      return seconds(
        year: number(words[3], 4...4), month: words[2], day: number(words[1], 2...2),
        time: words[4])
    case 4 where words[3] == "GMT":
      // Sunday, 06-Nov-94 08:49:37 GMT
      let parts = words[1].split(separator: "-", omittingEmptySubsequences: false)
      guard parts.count == 3, words[0].last == ",", isWeekday(words[0].dropLast(), short: false),
        let year = number(parts[2], 2...2)
      else { return nil }
      return seconds(
        year: year < 70 ? 2_000 + year : 1_900 + year, month: parts[1],
        day: number(parts[0], 2...2), time: words[2])
    case 5:
      // Sun Nov  6 08:49:37 1994
      guard isWeekday(words[0], short: true) else { return nil }
      return seconds(
        year: number(words[4], 4...4), month: words[1], day: number(words[2], 1...2),
        time: words[3])
    default:
      return nil
    }
  }

  private static let weekdays = [
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
  ]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
  private static let secondsMin = CivilDate(year: 0, month: 1, day: 1).daysSince1970 * 86_400
  private static let secondsMax =
    CivilDate(year: 9_999, month: 12, day: 31).daysSince1970 * 86_400 + 86_399

  private static func seconds(
    year: Int?, month: Substring, day: Int?, time: Substring
  ) -> Int? {
    let parts = time.split(separator: ":", omittingEmptySubsequences: false)
    guard let year, let day, let month = months.firstIndex(of: String(month)), parts.count == 3,
      let hour = number(parts[0], 2...2), let minute = number(parts[1], 2...2),
      let second = number(parts[2], 2...2), hour < 24, minute < 60, second <= 60
    else { return nil }
    let date = CivilDate(year: year, month: month + 1, day: day)
    guard (1...31).contains(day), CivilDate(daysSince1970: date.daysSince1970) == date else {
      return nil
    }
    // A leap second counts as the second before it: time since 1970 has none.
    return date.daysSince1970 * 86_400 + hour * 3_600 + minute * 60 + min(second, 59)
  }

  private static func isWeekday(_ text: Substring, short: Bool) -> Bool {
    weekdays.contains { short ? $0.prefix(3) == text : $0 == text }
  }

  private static func number(_ text: Substring, _ digitCount: ClosedRange<Int>) -> Int? {
    guard digitCount.contains(text.utf8.count), text.utf8.allSatisfy(Grammar.isDigit) else {
      return nil
    }
    return Int(text)
  }

  private static func appendTwoDigits(_ value: Int, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / 10 % 10))
    bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10))
  }
}

/// A day of the proleptic Gregorian calendar. Years are counted from March, so that the leap day is
/// the last of its year, in eras of 400 years, which all have the same 146,097 days (the method is
/// described by Howard Hinnant in "chrono-Compatible Low-Level Date Algorithms").
private struct CivilDate: Equatable {
  let year, month, day: Int

  init(year: Int, month: Int, day: Int) {
    self.year = year
    self.month = month
    self.day = day
  }

  init(daysSince1970 days: Int) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  var daysSince1970: Int {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = floorDivide(shiftedYear, 400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

private func floorDivide(_ value: Int, _ divisor: Int) -> Int {
  value >= 0 ? value / divisor : -((divisor - 1 - value) / divisor)
}
