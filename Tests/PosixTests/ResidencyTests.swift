import Content
import Glibc
import Synchronization
import Testing

@testable import Posix

@Suite struct ResidencyTests {
  private static let stretch = OpenFile.stretchByteCount

  private static func range(_ offset: Int, _ count: Int) -> ByteRange {
    ByteRange(offset: offset, count: count)!
  }

  private static func time(_ milliseconds: Int64) -> Instant {
    Instant(nanoseconds: milliseconds << 20)
  }

  @Test func stretchesEndAtMultiplesOfTheirLength() {
    #expect(OpenFile.stretch(at: 0, below: 10) == Self.range(0, 10))
    #expect(OpenFile.stretch(at: 0, below: .max) == Self.range(0, Self.stretch))
    let inside = Self.stretch + 5
    #expect(OpenFile.stretch(at: inside, below: .max) == Self.range(inside, Self.stretch - 5))
    #expect(OpenFile.stretch(at: 7, below: 7) == nil)
  }

  @Test func aMemoCoversWhatWasLookedAt() {
    let far = 4_000 * Self.stretch
    let memo = ResidencyMemo(Self.range(far + 8_192, 20_000), now: Self.time(1_000))
    let soon = Self.time(1_200)
    #expect(memo.covers(Self.range(far + 8_192, 20_000), now: soon))
    #expect(memo.covers(Self.range(far + 9_000, 1), now: soon))
    #expect(!memo.covers(Self.range(far + 8_191, 10), now: soon))
    #expect(!memo.covers(Self.range(far + 8_192, 30_000), now: soon))
    #expect(!memo.covers(Self.range(far + Self.stretch + 8_192, 20_000), now: soon))
    #expect(!memo.covers(Self.range(8_192, 20_000), now: soon))
  }

  @Test func aMemoIsBelievedForAMoment() {
    let whole = Self.range(0, Self.stretch)
    for start: Int64 in [0, 1_000, 1 << 24 - 100] {
      let memo = ResidencyMemo(whole, now: Self.time(start))
      #expect(memo.covers(whole, now: Self.time(start + 249)))
      #expect(!memo.covers(whole, now: Self.time(start + 250)))
      #expect(!memo.covers(whole, now: Self.time(start - 1)))
    }
    #expect(!ResidencyMemo.nothingKnown.covers(whole, now: .zero))
    #expect(ResidencyMemo.always.covers(whole, now: .zero))
  }

  @Test func whatTheKernelSaysIsBelieved() throws {
    let directory = try TemporaryDirectory()
    let range = Self.range(0, 9)
    func look(_ faults: [SystemCalls.Fault]) throws -> Bool {
      try directory.write("file", "some text")
      let file = try OpenFile(path: directory.path + "/file")
      let onDisk = SystemCalls.Fault("fstatfs", .failure(ENOSYS))
      return SystemCalls.withFaults([onDisk] + faults) { file.isResident(range, now: .zero) }
    }
    let noCount = SystemCalls.Fault("cachestat", .failure(ENOSYS))
    #expect(try !look([.init("preadv2", .failure(EAGAIN), times: 9)]))
    #expect(try !look([noCount, .init("preadv2", .failure(EAGAIN), times: 9)]))
    #expect(try !look([noCount, .init("preadv2", .failure(EOPNOTSUPP), times: 9)]))
    // The one who sends it will meet the error.
    #expect(try look([noCount, .init("preadv2", .failure(EIO), times: 9)]))
  }

  @Test func bringingInReadsAllAndStopsAtTheEnd() throws {
    let directory = try TemporaryDirectory()
    try directory.write("file", String(repeating: "0123456789", count: 50_000))
    let file = try OpenFile(path: directory.path + "/file")
    // With the call that moves no bytes, and where a file system does not have it.
    for faults in [[], [SystemCalls.Fault("sendfile", .failure(EINVAL), times: 9)]] {
      try SystemCalls.withFaults(faults) {
        try file.bringIn(Self.range(3, 400_000), next: Self.range(400_003, 50_000))
        try file.bringIn(Self.range(499_999, 100), next: nil)
        try file.bringIn(Self.range(1 << 40, 100), next: Self.range(1 << 41, 100))
      }
    }
    for faults in [
      [SystemCalls.Fault("sendfile", .failure(EIO))],
      [.init("sendfile", .failure(EINVAL)), .init("pread", .failure(EIO))],
    ] {
      #expect(throws: SystemError.self) {
        try SystemCalls.withFaults(faults) { try file.bringIn(Self.range(0, 10), next: nil) }
      }
    }
  }

  @Test func nothingIsBelievedAfterAWait() throws {
    let directory = try TemporaryDirectory()
    try directory.write("file", "some text")
    let file = try OpenFile(path: directory.path + "/file")
    file.doubtfulUntil.store(Self.time(5_000).nanoseconds, ordering: .relaxed)
    let range = Self.range(0, 9)
    SystemCalls.withFaults([.init("fstatfs", .failure(ENOSYS), times: 2)]) {
      #expect(!file.isResident(range, now: Self.time(4_999)))
    }
  }
}
