import Content
import Testing

@testable import HTTP

/// How many bytes a connection lets gather in the kernel.
struct ReadGatheringTests {
  private let start = Instant(nanoseconds: 0)

  @Test func morePartsThatComeFastGatherMore() {
    var gathering = ReadGathering()
    var told: [Int] = []
    for number in 0..<6 {
      let now = start + .milliseconds(number)
      if let count = gathering.read(missing: 1 << 20, now: now) { told.append(count) }
    }
    #expect(told == [4096, 8192, 16384, 32768])
  }

  @Test func theEndOfWhatIsMissingIsNeverWaitedBeyond() {
    var gathering = ReadGathering()
    for number in 0..<6 { _ = gathering.read(missing: 1 << 20, now: start + .milliseconds(number)) }
    #expect(gathering.read(missing: 100, now: start + .milliseconds(6)) == 100)
    #expect(gathering.read(missing: 0, now: start + .milliseconds(7)) == 1)
    #expect(gathering.read(missing: 0, now: start + .milliseconds(8)) == nil)
  }

  @Test func aSourceThatBecomesSlowIsReadAtOnce() {
    var gathering = ReadGathering()
    for number in 0..<6 { _ = gathering.read(missing: 1 << 20, now: start + .milliseconds(number)) }
    #expect(gathering.becameQuiet() == 1)
    let later = start + .milliseconds(100)
    #expect(gathering.read(missing: 1 << 20, now: later) == ReadGathering.byteCountMin)
  }
}
