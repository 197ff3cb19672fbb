/// The operators' labels for sites, each once and by number: records compare numbers instead of
/// texts. A label that nobody uses is forgotten.
struct SiteLabels: Sendable {
  /// The number of no label.
  static let none: UInt32 = 0
  /// Stands for a label that no record has.
  static let unknown = UInt32.max

  private struct Label: Sendable {
    var text: String
    /// Of the part before the slash in `REGION/NAME`; 0 without one.
    var region: UInt64
    var useCount: Int
  }

  private var labels = [Label(text: "", region: 0, useCount: 0)]
  private var numbers: [String: UInt32] = [:]
  private var free: [UInt32] = []

  func text(_ number: UInt32) -> String { labels[Int(number)].text }

  func isText(_ number: UInt32, _ text: String) -> Bool { labels[Int(number)].text == text }

  /// The number, for one who only looks.
  func find(_ text: String) -> UInt32 {
    text.isEmpty ? Self.none : numbers[text] ?? Self.unknown
  }

  func region(_ number: UInt32) -> UInt64 { labels[Int(number)].region }

  /// The number, for one more record.
  mutating func take(_ text: String) -> UInt32 {
    guard !text.isEmpty else { return Self.none }
    if let number = numbers[text] {
      labels[Int(number)].useCount += 1
      return number
    }
    let label = Label(text: text, region: Self.region(of: text), useCount: 1)
    let number = free.popLast() ?? UInt32(labels.count)
    if Int(number) == labels.count { labels.append(label) } else { labels[Int(number)] = label }
    numbers[text] = number
    return number
  }

  mutating func giveBack(_ number: UInt32) {
    guard number != Self.none else { return }
    labels[Int(number)].useCount -= 1
    guard labels[Int(number)].useCount == 0 else { return }
    numbers[labels[Int(number)].text] = nil
    labels[Int(number)].text = ""
    free.append(number)
  }

  /// Regions are compared by a hash (FNV-1a): two that collide count as one, which costs speed and
  /// nothing else.
  static func region(of text: String) -> UInt64 {
    guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")), slash > text.utf8.startIndex
    else { return 0 }
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8[..<slash] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash | 1
  }
}
