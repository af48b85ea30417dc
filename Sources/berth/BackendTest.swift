import ArgumentParser
import Client
import Kernel

/// `berth backend test`.
///
/// The suite is a program of its own, `shim-conformance`, which takes this one's place: an author of a backend has it without a
/// manager and without this command line, and this command line stays a face, without protocol, containers and protobuf inside.
struct BackendTest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Try what a shim v2 program can and cannot do, with containers of its own. No manager is needed.",
        discussion: """
            One line an ability: passed, failed, or not claimed with the reason. Exit code 0 when nothing failed, 1 when something \
            did, 2 when nothing could be tried: the program is not there, is not executable, or is no shim v2 program, or no check has \
            that name. Root is needed, and busybox as /usr/bin/busybox. However it ends, also by a signal, nothing stays of what it has started.
            """
    )

    @Option(help: ArgumentHelp("The OCI runtime of shims that drive one.", valueName: "binary"))
    var runtime: String?

    @Option(help: ArgumentHelp("table, json, or markdown for a README.", valueName: "format"))
    var format = "table"

    @Option(help: ArgumentHelp("Only checks whose names contain this.", valueName: "text"))
    var only: String?

    @Argument(
        help: """
            The program: a path, or the name of a shim in PATH or of a backend that is installed beside berth. Names of a manager's \
            configuration are not known here: 'berth backend info NAME' shows the program of one.
            """
    )
    var program: String

    func validate() throws {
        guard ["table", "json", "markdown"].contains(format) else {
            throw ValidationError("--format is table, json or markdown, not '\(format)'")
        }
    }

    func run() throws {
        guard !program.isEmpty else {
            throw Failure(
                "an empty text is no program: give the path of a shim v2 program, or the name of a backend",
                code: 2
            )
        }
        for (option, value) in [("--only", only), ("--runtime", runtime)] where value?.isEmpty == true {
            throw Failure("\(option) wants a value", code: 2)
        }
        let places = try Self.places()
        guard let suite = Self.find("shim-conformance", in: places) else {
            throw Failure(
                "shim-conformance, which tries backends, is in none of \(places.joined(separator: ", "))",
                code: 2
            )
        }
        var words = [suite, try Self.path(of: program, beside: places), "--format", format]
        if let runtime {
            let path = try Self.path(of: runtime, beside: [])
            guard (try? File.status(path, follow: true))?.isRegular == true else {
                throw Failure("--runtime: '\(path)' is no file: name an OCI runtime by its path", code: 2)
            }
            words += ["--runtime", path]
        }
        if let only { words += ["--only", only] }
        do throws(KernelError) {
            try Kernel.Exec.replace(
                suite,
                arguments: try ArgumentVector(words),
                environment: try ArgumentVector(["PATH", "BERTH_TEST_PATIENCE"].compactMap(Self.variable))
            )
        } catch {
            throw Failure("run \(suite): \(error)", code: 2)
        }
    }

    private static func variable(_ name: String) -> String? {
        CurrentProcess.environment(name).map { "\(name)=\($0)" }
    }

    /// Where the programs are that were installed with this one.
    private static func places() throws -> [String] {
        let own = String(decoding: try RootedDir("/proc").readlink("self/exe"), as: UTF8.self)
        let directory = own.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        let prefix = directory.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        return [directory, "\(prefix)/libexec/berth"]
    }

    /// A path stays what it is; a name is looked for among the installed backends, and in PATH.
    private static func path(of word: String, beside places: [String]) throws -> String {
        if word.contains("/") { return word }
        let search = (CurrentProcess.environment("PATH") ?? "").split(separator: ":").map(String.init)
        let found = find("berth-shim-\(word)", in: places) ?? find(word, in: places) ?? find(word, in: search)
        guard let found else {
            let names = installed(in: places)
            let known = names.isEmpty ? "there are none" : names.joined(separator: ", ")
            throw Failure(
                "'\(word)' is no path, no backend beside berth (\(known)), and no program in PATH: give the path of a shim v2 program, such "
                    + "as ./\(word)",
                code: 2
            )
        }
        return found
    }

    /// Names of the backends beside this program.
    private static func installed(in places: [String]) -> [String] {
        let prefix = "berth-shim-"
        let entries = places.flatMap { (try? File.open($0, .directory).readDirectory()) ?? [] }.map(\.name)
        let names = entries.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        return Set(names).filter { find(prefix + $0, in: places) != nil }.sorted()
    }

    private static func find(_ name: String, in places: [String]) -> String? {
        places.map { "\($0)/\(name)" }.first { path in
            guard let status = try? File.status(path, follow: true) else { return false }
            return status.kind == .regular && status.permissions & 0o111 != 0
        }
    }
}
