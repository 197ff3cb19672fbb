import Foundation
import Testing

/// The rules of ARCHITECTURE.md that a machine can check.
@Suite struct HouseRules {
  /// Which rooms of ours each room may import. Arrows go down only.
  static let rooms: [String: Set<String>] = {
    let knowledge: Set = ["Content", "Wire", "Swarm"]
    let ground = knowledge.union(["Posix"])
    let engine = ground.union(["Reactor", "Transport", "Digests"])
    let work = engine.union(["HTTP", "Storage", "Operations"])
    return [
      "Content": [],
      "Wire": ["Content"],
      "Swarm": ["Content"],
      "Posix": knowledge.union(["CLinux"]),
      "Reactor": ground.union(["CLibevent"]),
      "Transport": ground.union(["Reactor", "COpenSSL"]),
      "Digests": ground.union(["COpenSSL", "CDigestKernels"]),
      "HTTP": engine,
      "Storage": engine.union(["CSQLite"]),
      "Operations": engine,
      "Origin": work,
      "Peer": work,
      "LoadTest": work,
      "Simulator": knowledge,
      "spate": work.union(["Origin", "Peer", "LoadTest", "Simulator"]),
    ]
  }()

  static let libraries: [String: Set<String>] = [
    "Logging": ["Operations", "Origin", "Peer", "LoadTest", "spate"],
    "Histogram": ["Operations", "LoadTest"],
    "DequeModule": ["Swarm", "Reactor", "Transport", "HTTP", "Storage", "Peer"],
    "HeapModule": ["Swarm", "Reactor", "Storage", "Simulator"],
    "ArgumentParser": ["spate"],
  ]

  /// Modules that come with Swift and the C library.
  static let platform: Set = ["Synchronization", "Glibc"]
  /// The rooms that may touch the C library: the ground floor, and C strings beside our C modules.
  static let glibcRooms: Set = ["Posix"]

  private static func imports(in file: SourceTree.File) -> [String] {
    file.lines.compactMap { line in
      let words = line.split(separator: " ")
      guard let keyword = words.firstIndex(of: "import"), keyword <= 2,
        words[..<keyword].allSatisfy({
          $0.hasPrefix("@") || ["package", "internal", "private", "public"].contains($0)
        }), keyword + 1 < words.count
      else { return nil }
      return String(words.last!.split(separator: ".")[0])
    }
  }

  @Test func importsFollowTheArrows() {
    #expect(SourceTree.sources.count > 50)
    for file in SourceTree.sources {
      guard let allowed = Self.rooms[file.module] else {
        Issue.record("\(file.path) is in no room of the house")
        continue
      }
      for name in Self.imports(in: file) {
        let isAllowed =
          if let users = Self.libraries[name] {
            users.contains(file.module)
          } else if name == "Glibc" {
            Self.glibcRooms.contains(file.module)
          } else {
            allowed.contains(name) || Self.platform.contains(name)
          }
        #expect(isAllowed, "\(file.path) imports \(name)")
      }
    }
  }

  @Test func pureRoomsTouchNothing() {
    for file in SourceTree.sources where ["Content", "Wire", "Swarm"].contains(file.module) {
      for name in Self.imports(in: file) {
        #expect(
          ["Content", "DequeModule", "HeapModule"].contains(name), "\(file.path) imports \(name)")
      }
      for (number, line) in file.lines.enumerated() {
        for word in ["SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock"] {
          #expect(!line.contains(word), "\(file.path):\(number + 1) uses \(word)")
        }
      }
    }
  }

  @Test func noFoundationInSources() {
    for file in SourceTree.sources {
      let names = Self.imports(in: file)
      #expect(!names.contains { $0.hasPrefix("Foundation") }, "\(file.path) imports Foundation")
    }
  }

  @Test func noConcurrencyRuntimeInSources() throws {
    let banned = /\b(async|await|actor|Task)\b\s*[({]?/
    for file in SourceTree.sources {
      for (number, line) in file.lines.enumerated() {
        let code = line.prefix { $0 != "/" && $0 != "\"" }
        #expect(code.firstMatch(of: banned) == nil, "\(file.path):\(number + 1): \(line)")
      }
    }
  }

  @Test func failuresAreNotSwallowed() {
    for file in SourceTree.sources {
      for (number, line) in file.lines.enumerated() {
        #expect(!line.contains("try!"), "\(file.path):\(number + 1) crashes on an error")
      }
    }
  }

  @Test func filesStaySmall() {
    for file in SourceTree.sources + SourceTree.tests {
      // A file may be longer when it says why in its first lines.
      let isExplained = file.lines.prefix(5).contains { $0.contains("Longer than the rule:") }
      #expect(file.lines.count <= 400 || isExplained, "\(file.path): \(file.lines.count) lines")
    }
  }

  @Test func namesAreNounsOfTheField() {
    let vague = /\b(class|struct|enum|protocol)\s+\w*(Manager|Helper|Util|Utils|Common)\b/
    for file in SourceTree.sources {
      for (number, line) in file.lines.enumerated() {
        #expect(line.firstMatch(of: vague) == nil, "\(file.path):\(number + 1): \(line)")
      }
      let own = try? Regex("(class|struct|enum|protocol)\\s+\(file.module)\\b")
      for line in file.lines {
        if let own { #expect(line.firstMatch(of: own) == nil, "\(file.path): \(line)") }
      }
    }
  }

  @Test func nothingIsLeftUnfinished() {
    let unfinished = ["TO" + "DO", "FIX" + "ME", "(\"unimple" + "mented", "place" + "holder"]
    for file in SourceTree.sources + SourceTree.tests + SourceTree.kernels {
      for (number, line) in file.lines.enumerated() {
        for word in unfinished {
          #expect(!line.contains(word), "\(file.path):\(number + 1) has \(word)")
        }
      }
    }
  }

  @Test func theTextSpeaksOfTheProjectOnly() {
    let everything =
      SourceTree.sources + SourceTree.tests + SourceTree.kernels
      + SourceTree.files(
        under: ["Docs", "Benchmarks", ".ci"], suffixes: [".md", ".swift", ".sh", ".py", "run"])
    let machinePath = /(^|[\s"'=(:`])\/(work|root|farm)\//
    for file in everything {
      for (number, line) in file.lines.enumerated() {
        #expect(
          line.firstMatch(of: machinePath) == nil, "\(file.path):\(number + 1) names a machine path"
        )
      }
    }
  }
}
