import Testing

@testable import Storage

struct HashQueueTests {
  private func queue(_ jobs: (String, Int)...) -> HashQueue {
    var queue = HashQueue()
    for (path, byteCount) in jobs { queue.add(.init(path: path, byteCount: byteCount)) }
    return queue
  }

  /// A mutating call cannot stand in `#expect`.
  private func expect(
    _ queue: inout HashQueue, _ path: (inout HashQueue) -> String?, _ expected: String?,
    at location: SourceLocation = #_sourceLocation
  ) {
    let found = path(&queue)
    #expect(found == expected, sourceLocation: location)
  }

  @Test func goesInTheOrderOfArrival() {
    var queue = queue(("a", 1), ("b", 2))
    expect(&queue, { $0.next()?.path }, "a")
    expect(&queue, { $0.next()?.path }, "b")
    expect(&queue, { $0.next()?.path }, nil)
  }

  @Test func whatSomebodyWaitsForGoesFirst() {
    var queue = queue(("a", 1), ("b", 2), ("c", 3))
    queue.prioritise("c")
    queue.prioritise("c")
    expect(&queue, { $0.next()?.path }, "c")
    expect(&queue, { $0.next()?.path }, "a")
    expect(&queue, { $0.next()?.path }, "b")
    #expect(queue.waitingByteCount == 0)
  }

  @Test func onlyASmallerFileInterrupts() {
    var queue = queue(("big", 100), ("small", 5), ("other", 1))
    queue.prioritise("big")
    queue.prioritise("small")
    expect(&queue, { $0.nextUrgent(below: 5)?.path }, nil)
    expect(&queue, { $0.nextUrgent(below: 50)?.path }, "small")
    expect(&queue, { $0.nextUrgent(below: 50)?.path }, nil)
  }

  @Test func aFileIsInItOnce() {
    var queue = queue(("a", 1), ("a", 1))
    #expect(queue.waitingCount == 1)
    _ = queue.next()
    let isAddedWhileUnderWay = queue.add(.init(path: "a", byteCount: 1))
    #expect(!isAddedWhileUnderWay)
    queue.finish("a")
    let isAddedAfterwards = queue.add(.init(path: "a", byteCount: 1))
    #expect(isAddedAfterwards)
    expect(&queue, { $0.next()?.path }, "a")
  }

  @Test func aRemovedFileComesBackAtTheEnd() {
    var queue = queue(("a", 1), ("b", 1))
    queue.remove("a")
    queue.add(.init(path: "a", byteCount: 1))
    expect(&queue, { $0.next()?.path }, "b")
    expect(&queue, { $0.next()?.path }, "a")
    expect(&queue, { $0.next()?.path }, nil)
  }

  @Test func saysWhatComesFirst() throws {
    var queue = queue(("a", 10), ("b", 20), ("c", 30))
    queue.prioritise("b")
    queue.prioritise("c")
    let place = try #require(queue.place(of: "c"))
    #expect(place.position == 2)
    #expect(place.byteCount == 50)
    expect(&queue, { $0.next()?.path }, "b")
    queue.progressed("b", remainingByteCount: 7)
    #expect(try #require(queue.place(of: "b")).byteCount == 7)
    #expect(queue.place(of: "unheard of") == nil)
  }
}
