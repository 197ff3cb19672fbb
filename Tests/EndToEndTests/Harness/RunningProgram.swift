import Foundation
import Glibc

/// A process of a test, with its output in files. It is killed with the object, or with the test
/// run, however that ends.
final class RunningProgram {
  enum Exit: Equatable {
    case code(Int32)
    case signal(Int32)
  }

  let identifier: pid_t
  private let outputPath, errorPath: String
  private var exit: Exit?

  /// `program` is looked up along PATH. `directory` is the one it runs in.
  init(
    _ program: String, _ arguments: [String], in folder: Folder, directory: String? = nil
  ) throws {
    let label = "\(folder.path)/\(UUID().uuidString)"
    outputPath = label + ".out"
    errorPath = label + ".err"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT, 0o600)
    // `env` changes the directory and becomes the program.
    let words = ["--chdir=\(directory ?? folder.path)", program] + arguments
    identifier = try spawn("env", words, &actions)
    Keeper.shared.watch(identifier)
  }

  deinit {
    if case nil = poll() {
      kill(identifier, SIGKILL)
      var status: Int32 = 0
      while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
      Keeper.shared.forget(identifier)
    }
  }

  var output: String { text(outputPath) }
  var errorOutput: String { text(errorPath) }

  private func text(_ path: String) -> String {
    (try? readBytes(path)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  func send(_ signal: Int32) {
    if exit == nil { kill(identifier, signal) }
  }

  /// How it ended, nil while it runs.
  func poll() -> Exit? {
    if let exit { return exit }
    var status: Int32 = 0
    guard waitpid(identifier, &status, WNOHANG) == identifier else { return nil }
    let signal = status & 0x7f
    exit = signal == 0 ? .code(status >> 8 & 0xff) : .signal(signal)
    Keeper.shared.forget(identifier)
    return exit
  }

  func wait(within seconds: Double = 120) throws -> Exit {
    try eventually(within: seconds, "the end of a program: \(errorOutput)") { poll() != nil }
    guard let exit else { throw Failure("no exit status") }
    return exit
  }
}

/// Runs a program to its end.
@discardableResult
func run(
  _ program: String, _ arguments: [String], in folder: Folder, directory: String? = nil
) throws -> (exit: RunningProgram.Exit, output: String, errorOutput: String) {
  let running = try RunningProgram(program, arguments, in: folder, directory: directory)
  let exit = try running.wait()
  return (exit, running.output, running.errorOutput)
}

private func spawn(
  _ program: String, _ arguments: [String], _ actions: inout posix_spawn_file_actions_t
) throws -> pid_t {
  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  // Threads that run tests may have signals blocked, which a program would inherit.
  var none = sigset_t()
  sigemptyset(&none)
  var all = sigset_t()
  sigfillset(&all)
  posix_spawnattr_setsigmask(&attributes, &none)
  posix_spawnattr_setsigdefault(&attributes, &all)
  posix_spawnattr_setflags(
    &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
  var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
  words.append(nil)
  defer { for word in words { free(word) } }
  var identifier: pid_t = 0
  let code = posix_spawnp(&identifier, program, &actions, &attributes, &words, environ)
  guard code == 0 else {
    throw Failure("cannot start \(program): \(String(cString: strerror(code)))")
  }
  return identifier
}

/// A shell that knows which programs run, and kills them when the test process is gone: it then reads
/// the end of the pipe.
final class Keeper: Sendable {
  static let shared = Keeper()

  private static let script = """
    trap '' INT TERM HUP
    running=
    while read -r verb number; do
      left=
      for one in $running; do [ "$one" = "$number" ] || left="$left $one"; done
      running=$left
      [ "$verb" = forget ] || running="$running $number"
    done
    for one in $running; do kill -KILL "$one" 2>/dev/null; done
    """

  private let pipeEnd: Int32

  private init() {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { fatalError("no pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
    // Nobody who reads this run's output has to wait for the shell.
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    guard (try? spawn("sh", ["-c", Self.script], &actions)) != nil else { fatalError("no shell") }
    posix_spawn_file_actions_destroy(&actions)
    close(ends[0])
    pipeEnd = ends[1]
  }

  func watch(_ identifier: pid_t) { tell("watch \(identifier)\n") }
  func forget(_ identifier: pid_t) { tell("forget \(identifier)\n") }

  private func tell(_ line: String) {
    let bytes = Array(line.utf8)
    // A line is far shorter than what a pipe takes in one piece.
    guard write(pipeEnd, bytes, bytes.count) == bytes.count else {
      fatalError("the keeper is gone")
    }
  }
}
