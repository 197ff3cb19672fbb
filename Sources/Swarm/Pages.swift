/// An array in pages: it grows without copying what it has, which for a million records would keep
/// everybody waiting, and without room for as many again. The first page grows by quarters, since
/// most tables are small.
struct Pages<Element: Sendable>: Sendable {
  private static var shift: Int { 8 }
  private static var mask: Int { 1 << shift - 1 }

  private var pages: [[Element]] = []
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }
  var indices: Range<Int> { 0..<count }

  subscript(index: Int) -> Element {
    @inline(__always) _read { yield pages[index >> Self.shift][index & Self.mask] }
    @inline(__always) _modify { yield &pages[index >> Self.shift][index & Self.mask] }
  }

  mutating func append(_ element: Element) {
    let page = count >> Self.shift
    if page == pages.count {
      pages.append([])
      if page > 0 { pages[page].reserveCapacity(1 << Self.shift) }
    }
    let held = pages[page].count
    if held == pages[page].capacity { pages[page].reserveCapacity(held + held / 4 + 1) }
    pages[page].append(element)
    count += 1
  }

  mutating func swapAt(_ one: Int, _ other: Int) {
    let element = self[one]
    self[one] = self[other]
    self[other] = element
  }

  mutating func removeLast() {
    count -= 1
    let page = count >> Self.shift
    pages[page].removeLast()
    if pages[page].isEmpty { pages.removeLast() }
  }
}
