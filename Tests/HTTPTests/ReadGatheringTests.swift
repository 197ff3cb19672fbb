import Testing

@testable import HTTP

/// How many bytes a connection lets gather in the kernel.
struct ReadGatheringTests {
  @Test func whatIsMissingGathers() {
    var gathering = ReadGathering()
    #expect(gathering.read(missing: 1 << 20) == ReadGathering.byteCountMax)
    #expect(gathering.read(missing: 1 << 19) == nil)
    #expect(gathering.read(missing: 50_000) == 50_000)
  }

  @Test func theEndOfWhatIsMissingIsNeverWaitedBeyond() {
    var gathering = ReadGathering()
    _ = gathering.read(missing: 1 << 20)
    #expect(gathering.read(missing: 100) == 100)
    #expect(gathering.read(missing: 0) == 1)
    #expect(gathering.read(missing: 0) == nil)
  }

  @Test func aSourceThatBecomesSlowIsReadAtOnce() {
    var gathering = ReadGathering()
    _ = gathering.read(missing: 1 << 20)
    #expect(gathering.becameQuiet() == 1)
    #expect(gathering.becameQuiet() == nil)
    #expect(gathering.read(missing: 1 << 20) == ReadGathering.byteCountMax)
  }
}
