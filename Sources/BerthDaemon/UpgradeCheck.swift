import Dispatch
import DockerTypes
import EngineModel
import FoundationEssentials
import Kernel
import Synchronization

/// Has another program look whether it can take this manager's state over.
struct UpgradeCheck {
    /// What the program says, or what keeps it from saying anything.
    struct Verdict {
        var version = ""
        var problems: [String] = []
    }

    /// How long the program may take.
    static let deadline = Duration.seconds(20)
    private static let outputLimit = 8 << 20

    /// The program, and what it is compared with.
    let program: RunningProgram
    let settings: Settings
    /// Rows that this manager cannot read either: no reason against another.
    let setAside: Set<String>

    /// Runs `program --check --json` with this process's own arguments.
    func run() async -> Verdict {
        let program = program
        let isWanted = Wanted()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // A thread that may block, for as long as the program runs.
                DispatchQueue.global().async {
                    continuation.resume(returning: judge(Self.output(of: program, isWanted)))
                }
            }
        } onCancel: {
            isWanted.value.store(false, ordering: .relaxed)
        }
    }

    /// Whether somebody waits for the answer.
    private final class Wanted: Sendable {
        let value = Atomic(true)
    }

    private func judge(_ output: Result<[UInt8], DaemonError>) -> Verdict {
        var verdict = Verdict()
        let bytes: [UInt8]
        switch output {
        case .success(let found): bytes = found
        case .failure(let error):
            verdict.problems.append(error.description)
            return verdict
        }
        guard let report = try? JSON.decode(SelfCheck.Document.self, bytes) else {
            let text = String(decoding: bytes.suffix(500), as: UTF8.self)
            // A berthd that cannot even begin, for example for its configuration, says so in one line.
            if let word = text.split(separator: "\n").first, word.hasPrefix("berthd: ") {
                verdict.problems.append(String(word.dropFirst("berthd: ".count)))
                return verdict
            }
            let what = "'\(program.path)' is no berthd that can check itself; started with --check, it "
            // A newline alone is nothing to read either.
            let isSilent = text.allSatisfy(\.isWhitespace)
            verdict.problems.append(
                what + (isSilent ? "answers nothing, where a berthd says what it found" : "says: \(text)")
            )
            return verdict
        }
        verdict.version = report.version
        verdict.problems = report.findings.filter { finding in
            finding.isRequired && !setAside.contains(finding.container ?? "")
        }.compactMap { finding in finding.problem.map { "\(finding.what): \($0)" } }
        for (name, now, next) in [
            ("root directory", settings.root, report.root), ("state directory", settings.state, report.state),
        ] where now != next {
            verdict.problems.append("\(name): it is '\(now)' and would be '\(next)', which takes a stop and a start")
        }
        return verdict
    }

    private static func output(of program: RunningProgram, _ isWanted: Wanted) -> Result<[UInt8], DaemonError> {
        do {
            let pipe = try Pipe()
            let own = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", Handover.variable]
            var spawn = Spawn(
                arguments: [program.path] + CommandLine.arguments.dropFirst() + ["--check", "--json"],
                environment: ProcessInfo.processInfo.environment.filter { !own.contains($0.key) }
                    .map { "\($0)=\($1)" }
            )
            spawn.descriptors = [1: pipe.writer.raw, 2: pipe.writer.raw]
            let child = try spawn.start(program.descriptor.raw)
            let (reader, _) = pipe.ends()
            defer {
                // Whether it has ended by itself or not; somebody else in this process may have reaped it.
                _ = try? child.pidfd.send(.kill)
                _ = try? child.pidfd.wait()
            }
            return try read(reader, program, isWanted)
        } catch {
            return .failure(.other("'\(program.path)' cannot be run: \(error)"))
        }
    }

    private static func read(
        _ reader: SharedDescriptor,
        _ program: RunningProgram,
        _ isWanted: Wanted
    ) throws -> Result<[UInt8], DaemonError> {
        let end = Clock.monotonic.now + deadline
        var bytes: [UInt8] = []
        while true {
            let left = end - Clock.monotonic.now
            guard isWanted.value.load(ordering: .relaxed) else { return .failure(.other("nobody waits for the check")) }
            if left > .zero, try reader.poll(for: .readable, timeout: min(left, .milliseconds(100))).isEmpty {
                continue
            }
            guard left > .zero else {
                return .failure(.other("'\(program.path)' has not finished checking itself in \(deadline)"))
            }
            let chunk = try reader.read(upTo: 1 << 16)
            if chunk.isEmpty { return .success(bytes) }
            bytes += chunk
            if bytes.count > outputLimit { return .failure(.other("'\(program.path)' says too much")) }
        }
    }
}
