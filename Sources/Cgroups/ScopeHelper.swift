internal import Kernel

/// `berth-scope`, which speaks to systemd for us.
struct ScopeHelper: Sendable {
    let program: String
    /// A job may have to wait for others; the helper itself gives up after half a minute.
    var patience = Duration.seconds(40)

    /// Starts a scope.
    ///
    /// - Returns: where systemd has put it, and who keeps it from being empty.
    func start(
        _ name: SystemdScopeName,
        _ properties: SystemdProperties
    ) throws(CgroupError) -> (path: String, keeper: ScopeKeeper) {
        let operation = "start scope '\(name.unit)'"
        let (input, keeperInput): (SharedDescriptor, SharedDescriptor)
        do throws(KernelError) { (input, keeperInput) = try Pipe().ends() } catch { throw .failed(operation, error) }
        let line = try run(operation, ["start", name.unit] + properties.words, input: input)
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count == 3, words[0] == "scope", let pid = Int32(words[1]), words[2].hasPrefix("/") else {
            throw .systemd(operation, .internal, "unexpected answer '\(line)'")
        }
        do throws(KernelError) {
            // Until standard input ends the keeper does not: the number is its own.
            return (String(words[2]), ScopeKeeper(try Pidfd(pid: pid), pid: pid, input: keeperInput))
        } catch {
            throw .failed(operation, error)
        }
    }

    /// Changes properties of a scope.
    func set(_ name: SystemdScopeName, _ properties: SystemdProperties) throws(CgroupError) {
        try run("set properties of scope '\(name.unit)'", ["set", name.unit] + properties.words)
    }

    /// Stops a scope; one that is gone is fine.
    func stop(_ name: SystemdScopeName) throws(CgroupError) {
        try run("stop scope '\(name.unit)'", ["stop", name.unit])
    }

    @discardableResult
    private func run(
        _ operation: String,
        _ arguments: [String],
        input: SharedDescriptor? = nil
    ) throws(CgroupError) -> String {
        let line: String
        let status: ExitStatus
        do throws(KernelError) {
            let (output, pidfd) = try spawn(arguments, input: input)
            let deadline = Clock.monotonic.now + patience
            do throws(KernelError) {
                line = try read(output, until: deadline)
                guard let end = try Pidfd.waitForEnd(pidfd.raw, within: deadline - Clock.monotonic.now) else {
                    throw .failed("wait for", program, .timedOut)
                }
                status = end
            } catch {
                Pidfd.end(pidfd.raw, within: .seconds(5))
                throw error
            }
        } catch {
            throw .failed(operation, error)
        }
        if status != .exited(0) { throw ScopeHelper.failure(operation, line, status) }
        return line
    }

    private func spawn(
        _ arguments: [String],
        input: SharedDescriptor?
    ) throws(KernelError) -> (output: SharedDescriptor, pidfd: SharedDescriptor) {
        let (reader, writer) = try Pipe().ends()
        var spawn = Spawn(arguments: ["berth-scope"] + arguments)
        spawn.descriptors = [1: writer.raw, 2: 2]
        if let input { spawn.descriptors[0] = input.raw }
        // Only numbers are in the description of the child, so their owners have to be kept until it runs.
        let child = try withExtendedLifetime((writer, input)) { () throws(KernelError) in try spawn.start(program) }
        return (reader, child.sharedPidfd())
    }

    /// The first line of what the program says until it ends.
    private func read(_ output: SharedDescriptor, until deadline: Timestamp) throws(KernelError) -> String {
        var bytes: [UInt8] = []
        while true {
            let left = deadline - Clock.monotonic.now
            guard left > .zero, try !output.poll(for: .readable, timeout: left).isEmpty else {
                throw .failed("wait for", program, .timedOut)
            }
            let part = try output.read(upTo: 4096)
            if part.isEmpty || bytes.count > 1 << 16 { break }
            bytes += part
        }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// The helper's exit codes and the names of the bus are one list; `error NAME MESSAGE` is what it prints.
    private static func failure(_ operation: String, _ line: String, _ status: ExitStatus) -> CgroupError {
        let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
        let name = parts.count > 1 && parts[0] == "error" ? parts[1] : ""
        let message = parts.count > 2 ? parts[2] : line
        let code: ErrorCode =
            switch name.split(separator: ".").last ?? "" {
            case "UnitExists": .alreadyExists
            case "NoSuchUnit": .notFound
            case "AccessDenied", "InteractiveAuthorizationRequired": .permissionDenied
            case "InvalidArgs", "PropertyReadOnly", "UnknownProperty": .invalidArgument
            default:
                switch status {
                case .exited(3): .unavailable
                case .exited(6): .timedOut
                default: .internal
                }
            }
        return .systemd(
            operation,
            code,
            name == "none" || name.isEmpty ? "\(message) (\(status))" : "\(name): \(message)"
        )
    }
}
