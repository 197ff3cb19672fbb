import ArgumentParser

@main
struct Spate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spate", abstract: "Distribute large files from one origin to many machines.")
}
