import CLinux
import Glibc

/// The machine this runs on.
package enum Machine {
  /// Cores this process may run on.
  package static var coreCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  package static var pageByteCount: Int { max(4096, sysconf(Int32(_SC_PAGESIZE))) }

  /// Drawn by the kernel at each boot: what was written under another one may not be on the disk.
  package static func bootID() throws(SystemError) -> String {
    let file = try OpenFile(path: "/proc/sys/kernel/random/boot_id")
    return try firstLine(of: file)
  }

  /// Whether the kernel can make the records of TLS: its module must have been loaded.
  package static var hasKernelTLS: Bool {
    do {
      let file = try OpenFile(path: "/proc/sys/net/ipv4/tcp_available_ulp")
      return try firstLine(of: file).split(separator: " ").contains("tls")
    } catch {
      // Kernels without the list have no such modules.
      return false
    }
  }

  /// What the machine calls itself; "localhost" when the kernel will not say.
  package static var hostName: String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
    let text = bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return text.isEmpty ? "localhost" : String(decoding: text, as: UTF8.self)
  }

  static func firstLine(of file: OpenFile) throws(SystemError) -> String {
    var bytes = [UInt8](repeating: 0, count: 256)
    let count: Int
    do {
      count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
    } catch let error as SystemError {
      throw error
    } catch {
      preconditionFailure("\(error)")
    }
    let line = bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }
    return String(decoding: line, as: UTF8.self)
  }
}

/// This process.
package enum Process {
  /// Once, first thing: a peer that goes away must not end the process.
  package static func prepare() throws(SystemError) {
    try check("sigaction") { spate_ignore_signal(SIGPIPE) }
  }

  package static var identifier: Int { Int(getpid()) }

  package static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

  /// Nil when not set or not UTF-8.
  package static func environmentVariable(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    return String(validatingCString: value)
  }

  /// Raises the soft limit to the hard one, or sets it lower when asked.
  /// - Returns: the limit now in force.
  @discardableResult
  package static func setOpenFileLimit(atMost count: Int = .max) throws(SystemError) -> Int {
    var limit = rlimit()
    try check("getrlimit") { spate_get_open_file_limit(&limit) }
    limit.rlim_cur = min(limit.rlim_max, rlim_t(clamping: count))
    try check("setrlimit") { spate_set_open_file_limit(&limit) }
    return Int(clamping: limit.rlim_cur)
  }

  /// Memory in RAM, from /proc/self/statm.
  package static func residentByteCount() throws(SystemError) -> Int {
    let line = try Machine.firstLine(of: OpenFile(path: "/proc/self/statm"))
    let fields = line.split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
    return pages * Machine.pageByteCount
  }

  /// The most memory in RAM so far.
  package static func peakByteCount() throws(SystemError) -> Int {
    var usage = rusage()
    try check("getrusage") { spate_resource_usage(&usage) }
    return Int(usage.ru_maxrss) * 1_024
  }
}
