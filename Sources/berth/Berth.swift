package import ArgumentParser
import Client
import Kernel

/// The command line: Docker's verbs and flags for a berthd.
package struct Berth: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "berth",
        abstract: "Containers that outlive their manager.",
        discussion: """
            The manager is found through --host, else BERTH_HOST, else \(Host.default).
            Exit codes of run, start -a and exec: 125 the manager refused, 126 the command cannot be executed, 127 it was not found, \
            else the container's own.
            """,
        version: "berth \(BuildInfo.version), API \(APIClient.version)",
        groupedSubcommands: [
            CommandGroup(
                name: "Containers",
                subcommands: [
                    Run.self, Create.self, Start.self, Stop.self, Kill.self, Restart.self, Remove.self, List.self,
                    Logs.self,
                    Exec.self, Attach.self, Wait.self, Inspect.self, Top.self, Stats.self, Pause.self, Unpause.self,
                    Rename.self,
                    Update.self,
                ]
            ),
            CommandGroup(
                name: "Images",
                subcommands: [
                    Load.self, Save.self, Images.self, ImageCommand.self, Tag.self, RemoveImage.self, History.self,
                ]
            ),
            CommandGroup(
                name: "The manager",
                subcommands: [
                    Info.self, VersionCommand.self, Events.self, SystemCommand.self, ContainerCommand.self,
                    ShimCommand.self, ProfileCommand.self, BackendCommand.self,
                    Completion.self,
                ]
            ),
        ]
    )

    @Option(name: [.customShort("H"), .long], help: "Where the manager listens: unix://PATH.")
    var host: String?

    package init() {}

    /// A client of the manager that the user means.
    func client() throws -> APIClient {
        let named = host ?? CurrentProcess.environment(Host.environmentVariable)
        var client = APIClient(host: .default)
        if let named, !named.isEmpty { client = APIClient(host: try Host(parsing: named)) }
        if let seconds = CurrentProcess.environment("BERTH_PATIENCE"), !seconds.isEmpty {
            guard let number = Int(seconds), number >= 0 else {
                throw Failure("BERTH_PATIENCE: expected a number of seconds, found '\(seconds)'", code: 125)
            }
            client.patience = .seconds(number)
        }
        client.onOutage = { Output.note("berth: berthd does not answer; waiting for it") }
        return client
    }
}

/// What the build knows of itself.
enum BuildInfo {
    static let version = BuildVersion.text
}

@main
enum Main {
    static func main() {
        // A daemon that goes away in the middle of a request is an error to report, not a signal to die of.
        Signals.ignore(.pipe)
        do {
            var command = try Berth.parseAsRoot(EmptyValues.spelledOut(arguments()))
            try command.run()
            Output.finish(0)
        } catch let exit as ExitCode {
            Output.finish(exit.rawValue)
        } catch let failure as Failure {
            Output.fail(failure.message, code: failure.code)
        } catch let error as ClientError {
            Output.fail(error.description, code: Failure.code(of: error))
        } catch {
            // A suite that could not be begun is no failure of what it tries.
            let words = arguments()
            let isTest = words.dropFirst(nounIndex(words)).starts(with: ["backend", "test"])
            finish(with: error, code: isTest ? 2 : 125)
        }
    }

    /// The arguments, with Docker's short verbs after `image` and `container` in the form that stands for them alone.
    private static func arguments() -> [String] {
        var words = Array(CommandLine.arguments.dropFirst())
        let verbs = ["image": ["ls": "images", "rm": "rmi"], "container": ["ls": "ps", "list": "ps"]]
        let noun = nounIndex(words)
        if noun + 1 < words.count, let verb = verbs[words[noun]]?[words[noun + 1]] { words[noun + 1] = verb }
        return words
    }

    /// Where the first word is that is no option of `berth` itself.
    private static func nounIndex(_ words: [String]) -> Int {
        var noun = 0
        while noun < words.count, words[noun].hasPrefix("-") {
            noun += words[noun] == "-H" || words[noun] == "--host" ? 2 : 1
        }
        return noun
    }

    /// Help and version are wanted output; everything else that the parser throws is a misuse.
    private static func finish(with error: any Error, code: Int32) -> Never {
        let text = Berth.fullMessage(for: error)
        if Berth.exitCode(for: error) == .success {
            Output.write(text + (text.hasSuffix("\n") ? "" : "\n"))
            Output.finish(0)
        }
        // One spelling for all errors, whoever found them.
        Output.note(text.hasPrefix("Error: ") ? "error: " + text.dropFirst("Error: ".count) : text)
        Output.finish(code)
    }
}
