import HostBundle
import Kernel
import ShimKit

/// An OCI runtime as a command line: what runc, crun and others have in common.
///
/// Every call has an end: a runtime that hangs is killed with all that it has started.
struct RuntimeProgram {
    /// Most that is read of what a runtime prints.
    private static let limit = 256 << 10
    /// Name of its log in the bundle.
    private static let logName = "runtime.log"

    /// Absolute path of the program.
    let path: String
    /// `--root`: where it keeps its containers.
    let root: String
    /// The bundle: working directory of every call, and the place of its log.
    let bundle: String
    /// Whether systemd makes the groups.
    let usesSystemdCgroup: Bool
    /// Whether it must not see the hierarchy of cgroup version 2 beside those of version 1.
    let hidesCgroup2: Bool
    /// Time for one call.
    let patience: Duration

    /// Runs a command to its end.
    ///
    /// - Parameters:
    ///   - words: The command and its arguments.
    ///   - streams: Standard streams for the process that the command makes; nil for a command that makes none.
    /// - Returns: What it printed; nothing for a command that makes a process.
    /// - Throws: What the runtime's log says, or `timedOut` when it had to be killed.
    @discardableResult
    func run(_ words: [String], streams: ProcessStreams? = nil) throws(BackendError) -> [UInt8] {
        let stage = words.first ?? ""
        let status: ExitStatus?
        let printed: [UInt8]
        let log: RuntimeLog
        do throws(KernelError) {
            var pipe = try RuntimeLogPipe(bundle: bundle, name: Self.logName)
            (status, printed) = try call(words, streams, &pipe)
            log = RuntimeLog(pipe.finish())
        } catch {
            guard error.operation != "execute" else { throw unusable(error.errno) }
            throw .failed(stage: stage, error.about(path))
        }
        guard let status else {
            throw .refused(
                stage: stage,
                operation: "run",
                object: path,
                code: .timedOut,
                detail: "no end within \(patience); killed"
            )
        }
        for warning in log.warnings { RuntimeLog.note("\(stage): \(warning)") }
        guard status == .exited(0) else { throw log.failure(stage, of: path, status, printed: printed) }
        return printed
    }

    /// Runs the program.
    ///
    /// - Returns: How it ended, nil when it had to be killed, and what it printed.
    private func call(
        _ words: [String],
        _ streams: ProcessStreams?,
        _ log: inout RuntimeLogPipe
    ) throws(KernelError) -> (ExitStatus?, [UInt8]) {
        var flags = ["--root", root, "--log", "\(bundle)/\(Self.logName)", "--log-format", "json"]
        if usesSystemdCgroup { flags.append("--systemd-cgroup") }
        var spawn =
            hidesCgroup2
            ? HiddenHierarchy.spawn(path, flags + words)
            : Spawn(arguments: [path] + flags + words, environment: [HostProgram.path])
        // What it makes would inherit a shim's own protection.
        spawn.oomScoreAdjustment = 0
        let directory = SharedDescriptor(try File.open(bundle, [.path, .directory]))
        spawn.directory = directory.raw
        guard case .descriptors(let input, let output, let error)? = streams else {
            let (reader, writer) = try Pipe().ends()
            // A command that makes a process on a terminal may leave somebody with the pipe: it is read when the command has ended.
            spawn.descriptors = [1: writer.raw, 2: writer.raw]
            let child = try withExtendedLifetime((directory, writer)) { () throws(KernelError) in try start(spawn) }
            let status = try end(of: child, &log)
            return (status, try Self.available(reader))
        }
        spawn.descriptors = [0: input.raw, 1: output.raw, 2: error.raw]
        let child = try withExtendedLifetime((directory, streams)) { () throws(KernelError) in try start(spawn) }
        return (try end(of: child, &log), [])
    }

    /// The runtime is to blame, in words that no client takes for those of a missing command of the container.
    private func unusable(_ errno: Errno) -> BackendError {
        let detail =
            switch errno {
            case .noEntry: "it, or the interpreter that it names, is missing"
            case .accessDenied: "it may not be executed"
            case .execFormat: "it is no executable file"
            default: errno.description
            }
        return .refused(stage: "runtime", operation: "execute", object: path, code: .failedPrecondition, detail: detail)
    }

    private func start(_ spawn: Spawn) throws(KernelError) -> Child {
        guard hidesCgroup2 else { return try spawn.start(path) }
        let program = try SealedExecutable()
        return try spawn.start(program.descriptor.raw)
    }

    /// Waits for the end, takes what is logged meanwhile, and makes an end when the time is up.
    private func end(of child: consuming Child, _ log: inout RuntimeLogPipe) throws(KernelError) -> ExitStatus? {
        let (pid, deadline) = (child.pid, Clock.monotonic.now + patience)
        repeat {
            var set = PollSet()
            for descriptor in [child.pidfd.raw, log.raw] { set.add(descriptor, .readable) }
            let ready = try set.wait(timeout: max(.zero, deadline - Clock.monotonic.now)).map(\.descriptor)
            if ready.contains(child.pidfd.raw) { return try child.pidfd.wait() }
            if ready.contains(log.raw) { _ = log.take() }
        } while Clock.monotonic.now < deadline
        // It leads a session, whose number is its own until it is reaped; what it has started may lead groups of its own.
        ProcessSession(of: pid).kill(within: .seconds(1))
        try child.pidfd.wait()
        return nil
    }

    private static func available(_ reader: SharedDescriptor) throws(KernelError) -> [UInt8] {
        try reader.setNonBlocking()
        var bytes: [UInt8] = []
        while bytes.count < limit, !(try reader.poll(for: .readable, timeout: .zero)).isDisjoint(with: .readable) {
            let part = try reader.read(upTo: 64 << 10)
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }
}
