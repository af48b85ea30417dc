import Cgroups
import Kernel
import NativeContainer
import OCISpec
import Sandbox
import Seccomp

extension Runtime {
    func exec(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let inherited = try InheritedDescriptors(arguments)
        guard let id = arguments.operands.first else { throw .usage("a container id is missing") }
        let directory = try store.open(id)
        let record = try directory.read()
        let status = try status(directory, record)
        let mayBePaused = arguments.has("ignore-paused")
        guard status == .created || status == .running || (status == .paused && mayBePaused) else {
            throw .forbidden("cannot exec in container '\(id)': it is \(status.rawValue)")
        }
        let specification = try directory.configuration()
        let process = try ExecProcess.read(arguments, specification.process)
        let wantsTerminal = process.terminal == true
        let isDetached = arguments.has("detach")
        let console = try ConsoleSocket(arguments, terminal: wantsTerminal, showsTerminal: !isDetached)
        guard
            let container = try attach(directory, record, specification, filter: program(directory))
        else { throw .forbidden("cannot exec in container '\(id)': it is stopped") }
        let foreground = isDetached ? nil : try Foreground()
        let exec = try native { () throws(NativeError) in
            try container.exec(
                process,
                streams: wantsTerminal ? .terminal : .descriptors(input: 0, output: 1, error: 2),
                preservedDescriptors: inherited.count,
                subgroup: arguments.last("cgroup")
            )
        }
        let extra = exec.process
        for warning in extra.warnings { log.warning(warning) }
        do throws(RuntimeError) {
            if let console, let terminal = extra.terminal { try console.give(terminal) }
            if let file = arguments.last("pid-file") { try PidFile.write(extra.pid, to: file) }
        } catch {
            SandboxProcess.abandon(extra)
            throw error
        }
        guard let foreground else { return 0 }
        let code = try foreground.wait(for: extra, terminal: console == nil ? extra.terminal : nil)
        // What the process has left running keeps the group, which goes with the container's then.
        _ = try? exec.group?.removeIfEmpty()
        return code
    }

    private func program(_ directory: ContainerDirectory) throws(RuntimeError) -> SeccompProgram? {
        guard let bytes = try directory.filter() else { return nil }
        do throws(SeccompError) { return try SeccompProgram(encoded: bytes) } catch {
            throw .malformed("\(directory.path)/seccomp.bpf", error.message)
        }
    }
}

/// The process of an `exec`: a document, or the container's own process with changes.
enum ExecProcess {
    static func read(
        _ arguments: Arguments,
        _ first: RuntimeSpec.Process?
    ) throws(RuntimeError) -> RuntimeSpec.Process {
        var process: RuntimeSpec.Process
        let command = Array(arguments.operands.dropFirst())
        if let file = arguments.last("process") {
            guard command.isEmpty else { throw .usage("--process is given, and so is the command '\(command[0])'") }
            let bytes = try kernel { () throws(KernelError) in try File.read(file, limit: 1 << 24) }
            process = try document(file) { () throws(DocumentError) in try RuntimeSpec.Process(parsing: bytes) }
            if arguments.has("tty") { process.terminal = true }
            return process
        }
        guard !command.isEmpty else { throw .usage("neither a command nor --process is given") }
        process = first ?? RuntimeSpec.Process()
        process.args = command
        process.terminal = arguments.has("tty")
        process.consoleSize = nil
        if let directory = arguments.last("cwd") { process.cwd = directory }
        process.env = (process.env ?? []) + arguments.all("env")
        if arguments.has("no-new-privs") { process.noNewPrivileges = true }
        if let profile = arguments.last("apparmor") { process.apparmorProfile = profile }
        if let label = arguments.last("process-label") { process.selinuxLabel = label }
        var user = process.user ?? RuntimeSpec.User()
        if let text = arguments.last("user") { try change(&user, text) }
        for group in arguments.all("additional-gids") {
            user.additionalGids = (user.additionalGids ?? []) + [try number(group, "--additional-gids")]
        }
        process.user = user
        try add(arguments.all("cap"), to: &process.capabilities)
        return process
    }

    /// Ids are numbers here; what is none is a name that the container's own files resolve.
    private static func change(_ user: inout RuntimeSpec.User, _ text: String) throws(RuntimeError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        user.username = nil
        user.additionalGids = nil
        if let first = parts.first?.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) {
            user.username = text
        } else {
            user.uid = try number(parts[0], "--user")
            if parts.count > 1 { user.gid = try number(parts[1], "--user") }
        }
    }

    /// An id: one to ten digits, below 2^32 - 1.
    private static func number(_ text: String, _ option: String) throws(RuntimeError) -> UInt32 {
        let isNumber =
            (1...10).contains(text.utf8.count)
            && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isNumber, let value = UInt32(text), value != .max else {
            throw .usage("\(option): '\(text)' is not an id from 0 to 4294967294")
        }
        return value
    }

    private static func add(_ names: [String], to sets: inout RuntimeSpec.Capabilities?) throws(RuntimeError) {
        for name in names {
            guard CapabilitySet(name: name) != nil else { throw .usage("--cap: unknown capability '\(name)'") }
            var changed = sets ?? RuntimeSpec.Capabilities()
            changed.bounding = (changed.bounding ?? []) + [name]
            changed.effective = (changed.effective ?? []) + [name]
            changed.permitted = (changed.permitted ?? []) + [name]
            sets = changed
        }
    }
}
