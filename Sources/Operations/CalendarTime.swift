/// A moment of Coordinated Universal Time as ISO 8601 writes it, to the second.
///
/// The civil date comes from the day number by counting eras of 400 years from 1 March, so that the
/// leap day is the last of its year.
package struct CalendarTime: CustomStringConvertible, Sendable {
  package let description: String

  package init(secondsSince1970 seconds: Int) {
    let day = Self.floorDivide(seconds, 86_400)
    let second = (seconds % 86_400 + 86_400) % 86_400
    let shifted = day + 719_468
    let era = Self.floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let two = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
    description =
      "\(year)-\(two(month))-\(two(dayOfMonth))"
      + "T\(two(second / 3_600)):\(two(second / 60 % 60)):\(two(second % 60))Z"
  }

  private static func floorDivide(_ value: Int, _ divisor: Int) -> Int {
    value / divisor - (value % divisor < 0 ? 1 : 0)
  }
}
