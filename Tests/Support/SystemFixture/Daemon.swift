package import Foundation
package import Testing

/// Where the executables under test are.
package enum Binaries {
    /// Where the tests were built.
    private static let own = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()

    /// The products' folder: BERTH_BIN_DIR, else where the tests were built.
    package static let folder: URL = {
        guard let named = ProcessInfo.processInfo.environment["BERTH_BIN_DIR"], !named.isEmpty else { return own }
        return URL(fileURLWithPath: named, isDirectory: true)
    }()

    /// Helpers that are built with the tests only.
    private static let helpers: Set<String> = [
        "berthd-faults", "hostile", "hostile-backend", "shim-conformance", "kill-at",
        "berth-shim-plain",
    ]

    /// A product, or a helper that is built with the tests and never shipped.
    package static func path(_ name: String) -> String {
        (helpers.contains(name) ? own : folder).appendingPathComponent(name).path
    }

    /// The repository.
    package static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
}

/// A manager with everything of its own: root, state, scratch folder, and a network namespace without a way out.
///
/// Made by ``Daemon/with(executable:environment:image:sourceLocation:_:)`` only, which also takes everything down again.
package final class Daemon {
    package let scratch: URL
    private var process: Command?
    /// The ids of all containers that it ever had; filled at the end.
    package private(set) var seen: Set<String> = []

    /// A process whose mounts the manager sees; nil for those of everybody.
    private let mountsOf: Int32?
    package let root: URL
    package var state: URL { scratch.appendingPathComponent("state") }
    package var socket: String { state.appendingPathComponent("berth.sock").path }
    package var pid: Int32 { process?.pid ?? -1 }

    private init(root: URL?, mountsOf: Int32?) throws {
        scratch = URL(fileURLWithPath: "/tmp/berth-test-\(UUID().uuidString.prefix(8))")
        self.root = root ?? scratch.appendingPathComponent("root")
        self.mountsOf = mountsOf
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    }

    /// Runs `body` with a manager; then takes everything down, last made first, and looks for what is left.
    ///
    /// After a failure the logs of the manager and of the shims are printed. `executable`, `environment` and `umask` (octal)
    /// are those of its first start only: what comes after a fault is the ordinary manager. It lives in the mount namespace of `mountsOf`,
    /// where `root` may be elsewhere.
    package static func with(
        executable: String = "berthd",
        environment: [String: String] = [:],
        image: Bool = true,
        umask: String? = nil,
        root: URL? = nil,
        mountsOf: Int32? = nil,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (Daemon) throws -> Void
    ) throws {
        let mounts = try HostState.mounts()
        let daemon = try Daemon(root: root, mountsOf: mountsOf)
        var failure: (any Error)?
        do {
            try daemon.start(executable: executable, environment: environment, umask: umask)
            if image { try daemon.loadImage() }
            try body(daemon)
        } catch {
            failure = error
        }
        let logs = daemon.logs()
        let waits = failure.map { _ in "---- who waits\n" + daemon.waits() } ?? ""
        let leaks = daemon.takeDown(mounts: mounts)
        for leak in leaks { Issue.record("left behind: \(leak)", sourceLocation: sourceLocation) }
        if failure != nil || !leaks.isEmpty { print(logs + waits) }
        if let failure { throw failure }
    }

    // The process

    package func start(
        _ arguments: [String] = [],
        executable: String = "berthd",
        environment: [String: String] = [:],
        umask: String? = nil,
        descriptors: Int? = nil
    ) throws {
        let limiting = descriptors.map { ["prlimit", "--nofile=\($0):\($0)"] } ?? []
        let masking = limiting + (umask.map { ["sh", "-c", "umask \($0) && exec \"$@\"", "sh"] } ?? [])
        let program = Binaries.path(executable)
        let options = ["--root", root.path, "--state", state.path] + arguments
        let words = ["unshare", "--net", "--"] + masking + [program] + options
        let entering = mountsOf.map { ["nsenter", "--mount=/proc/\($0)/ns/mnt", "--"] } ?? []
        let line = entering + words
        process = try Command(
            line[0],
            Array(line.dropFirst()),
            in: scratch,
            environment: environment
        )
        try eventually("berthd answers") {
            guard process?.isRunning == true else { throw Command.Overdue(description: "berthd ended: \(logs())") }
            return try Command(Binaries.path("berth"), ["--host", "unix://\(socket)", "version"], in: scratch).finish()
                .status == 0
        }
    }

    /// Sends it a signal.
    package func send(_ signal: Int32) {
        process?.send(signal)
    }

    /// Whether it still runs.
    package var isRunning: Bool { process?.isRunning == true }

    /// Waits for an end that nobody asked for.
    package func ended(within seconds: Double = 20) throws -> Outcome? {
        defer { process = nil }
        return try process?.finish(within: seconds)
    }

    /// SIGKILL.
    package func crash() throws {
        process?.send(SIGKILL)
        try process?.finish(within: 10)
        process = nil
    }

    /// SIGTERM, and the end.
    @discardableResult
    package func stop() throws -> Outcome? {
        process?.send(SIGTERM)
        defer { process = nil }
        return try process?.finish(within: 20)
    }

    // Clients

    /// Runs `berth` with `arguments` to its end.
    @discardableResult
    package func berth(_ arguments: String..., within seconds: Double = 60) throws -> Outcome {
        try client(arguments).finish(within: seconds)
    }

    /// Runs `berth`, which has to succeed, and gives its output without white space at the end.
    @discardableResult
    package func ok(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        let outcome = try client(arguments).finish()
        try #require(outcome.status == 0, "berth \(arguments): \(outcome)", sourceLocation: sourceLocation)
        return outcome.text
    }

    /// Starts `berth` with `arguments`.
    package func client(
        _ arguments: [String],
        environment: [String: String] = [:],
        keepsInput: Bool = false
    ) throws -> Command {
        try Command(
            Binaries.path("berth"),
            ["--host", "unix://\(socket)"] + arguments,
            in: scratch,
            environment: environment,
            keepsInput: keepsInput
        )
    }

    /// Runs `berth` on a terminal of its own, made by script(1).
    package func terminal(_ arguments: String...) throws -> Command {
        let words = [Binaries.path("berth"), "--host", "unix://\(socket)"] + arguments
        let line = words.map { "'\($0)'" }.joined(separator: " ")
        return try Command("script", ["-qfec", line, "/dev/null"], in: scratch, keepsInput: true)
    }

    /// Runs `docker` with `arguments` to its end.
    @discardableResult
    package func docker(_ arguments: String..., within seconds: Double = 60) throws -> Outcome {
        let environment = ["DOCKER_CONFIG": scratch.appendingPathComponent("docker").path]
        return try Command("docker", ["-H", "unix://\(socket)"] + arguments, in: scratch, environment: environment)
            .finish(within: seconds)
    }

    /// One field of a container.
    package func field(_ template: String, _ container: String) throws -> String {
        try ok("inspect", "--format", "{{\(template)}}", container)
    }

    /// Runs a detached container that does nothing but wait for signals, and returns when it does.
    ///
    /// Before its traps are set, the first process of a process namespace ignores most signals.
    package func waiter(_ name: String, trapping traps: String, _ options: String...) throws {
        let script = "\(traps); echo ready; while :; do sleep 0.05; done"
        let run = try client(["run", "-d", "--name", name] + options + ["berth/default", "sh", "-c", script]).finish()
        try #require(run.status == 0, "\(run)")
        try eventually("the traps of \(name) are set") { try ok("logs", name) == "ready" }
    }

    private func loadImage() throws {
        try ok("load", "-i", try DefaultImage.archive())
    }

    // The end

    /// The logs of the manager and of all shims.
    package func logs() -> String {
        var text = "---- berthd\n\(process?.output ?? "")\(process?.errors ?? "")"
        let folders =
            (try? FileManager.default.contentsOfDirectory(atPath: state.appendingPathComponent("containers").path))
            ?? []
        for folder in folders.sorted() {
            let log = state.appendingPathComponent("containers/\(folder)/shim.log")
            text += "---- shim \(folder.prefix(12))\n" + ((try? String(contentsOf: log, encoding: .utf8)) ?? "")
        }
        return text
    }

    /// What its processes and those of its containers wait for.
    private func waits() -> String {
        let bundles = state.appendingPathComponent("containers").path
        return HostState.waits(of: scratch, Set((try? FileManager.default.contentsOfDirectory(atPath: bundles)) ?? []))
    }

    private func takeDown(mounts: [String]) -> [String] {
        var leaks: [String] = []
        do {
            if process?.isRunning != true { try start() }
            let now = String(Int(Date().timeIntervalSince1970) + 1)
            let events = ["events", "--since", "0", "--until", now, "-f", "event=create", "--format", "{{.Actor.ID}}"]
            seen = Set(try client(events).finish().lines)
            let ids = try client(["ps", "-aq", "--no-trunc"]).finish().lines
            if !ids.isEmpty { try client(["rm", "-f"] + ids).finish() }
            try eventually(within: 5, "shims are gone") {
                HostState.processes(of: scratch).filter { $0.pid != pid }.isEmpty
            }
            let outcome = try stop()
            if outcome?.status != 0 { leaks.append("berthd ended with status \(outcome?.status ?? -1)") }
        } catch {
            leaks.append("clean-up: \(error)")
        }
        leaks += HostState.leaks(of: self, mounts: mounts)
        HostState.killAll(of: scratch)
        try? FileManager.default.removeItem(at: scratch)
        return leaks
    }
}

/// The image that all tests use.
package enum DefaultImage {
    private static let built: Result<String, any Error> = Result {
        let folder = SuiteFolder.url
        let file = folder.appendingPathComponent("default.tar")
        let script = Binaries.repository.appendingPathComponent("tools/make-image").path
        let outcome = try Command(script, [file.path], in: folder).finish()
        guard outcome.status == 0 else { throw Command.Overdue(description: "tools/make-image: \(outcome)") }
        return file.path
    }

    /// The archive with it.
    package static func archive() throws -> String { try built.get() }
}
