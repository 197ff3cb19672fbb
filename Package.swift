// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

let strictC: [CSetting] = [.treatAllWarnings(as: .error)]

/// One room of the house: what it may import is what it names here, and a test holds the
/// `import` lines to the same picture.
func room(
  _ name: String, _ dependencies: [Target.Dependency] = [], settings: [SwiftSetting] = []
) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict + settings)
}

/// Where every request and every piece passes. Tests, which are not built for release, check that no two accesses
/// meet; a released program is spared it (`Benchmarks/TUNING.md`).
let dataPlane: [SwiftSetting] = [
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

func tests(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = [])
  -> Target
{
  .testTarget(
    name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heaps = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let arguments = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "spate",
  products: [.executable(name: "spate", targets: ["spate"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    // C: module maps with shim headers, and our kernels.
    .systemLibrary(
      name: "CLibevent", path: "CModules/CLibevent", pkgConfig: "libevent_core",
      providers: [.apt(["libevent-dev"])]),
    .systemLibrary(
      name: "COpenSSL", path: "CModules/COpenSSL", pkgConfig: "openssl",
      providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CSQLite", path: "CModules/CSQLite", pkgConfig: "sqlite3",
      providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CLinux", path: "CModules/CLinux"),
    .target(name: "CDigestKernels", path: "CModules/CDigestKernels", cSettings: strictC),

    // Knowledge: pure.
    room("Content"),
    room("Wire", ["Content"]),
    room("Swarm", ["Content", collections, heaps]),

    // Ground and engine.
    room("Posix", ["CLinux", "Content"]),
    room("Reactor", ["Posix", "Content", "CLibevent", collections, heaps], settings: dataPlane),
    room(
      "Transport", ["Reactor", "Posix", "Content", "COpenSSL", collections], settings: dataPlane),
    room("Digests", ["Content", "COpenSSL", "CDigestKernels"]),

    // Work.
    room("Operations", ["Content", "Posix", "Reactor", logging, histogram]),
    room(
      "HTTP", ["Content", "Wire", "Posix", "Reactor", "Transport", collections],
      settings: dataPlane),
    room("Storage", ["Content", "Posix", "Reactor", "Digests", "CSQLite", collections, heaps]),

    // Roles.
    room(
      "Origin",
      [
        "Content", "Wire", "Swarm", "Posix", "Reactor", "Transport", "Digests", "HTTP", "Storage",
        "Operations", logging,
      ], settings: dataPlane),
    room(
      "Peer",
      [
        "Content", "Wire", "Swarm", "Posix", "Reactor", "Transport", "Digests", "HTTP", "Storage",
        "Operations", logging, collections,
      ], settings: dataPlane),
    room(
      "LoadTest",
      [
        "Content", "Wire", "Posix", "Reactor", "Transport", "HTTP", "Operations", histogram,
        logging,
      ]),
    room("Simulator", ["Content", "Swarm", heaps]),

    // The door.
    .executableTarget(
      name: "spate",
      dependencies: [
        "Content", "Wire", "Digests", "Posix", "Operations", "Origin", "Peer", "LoadTest",
        "Simulator",
        arguments, logging,
      ],
      swiftSettings: strict),

    // Benchmarks that are programs of their own.
    .executableTarget(
      name: "spate-bench-digests", dependencies: ["Content", "Digests"],
      path: "Benchmarks/digests", exclude: ["run.sh"], swiftSettings: strict),

    tests("HouseTests"),
    tests("ContentTests", ["Content"]),
    tests("WireTests", ["Content", "Wire"]),
    tests("SwarmTests", ["Content", "Swarm", "Simulator"]),
    tests("PosixTests", ["Content", "Posix"]),
    tests("ReactorTests", ["Content", "Posix", "Reactor"]),
    tests("TransportTests", ["Content", "Posix", "Reactor", "Transport"]),
    tests("DigestsTests", ["Content", "Digests", "COpenSSL"]),
    tests("StorageTests", ["Content", "Posix", "Reactor", "Digests", "Storage"]),
    tests("OperationsTests", ["Content", "Posix", "Reactor", "Operations", logging]),
    tests("HTTPTests", ["Content", "Wire", "Posix", "Reactor", "Transport", "HTTP"]),
    tests(
      "PeerTests",
      [
        "Content", "Wire", "Swarm", "Storage", "Digests", "Posix", "Reactor", "HTTP", "Operations",
        "Peer", logging,
      ]),
    tests("EndToEndTests", ["Content", "Digests", "Wire"]),
  ],
  swiftLanguageModes: [.v6]
)
