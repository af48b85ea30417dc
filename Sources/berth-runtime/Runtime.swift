import Cgroups
import Kernel
import NativeContainer
import OCISpec
import Sandbox
import Seccomp

/// What every command works with.
struct Runtime: Sendable {
    /// The newest version of the specification that is understood.
    static let specificationVersion = "1.3.0"

    let store: ContainerStore
    let log: RuntimeLog
    /// Whether systemd makes the groups of new containers.
    let usesSystemd: Bool

    /// `berth-scope`, which stands beside this program.
    static var scopeHelper: String {
        if let path = Environment.value("BERTH_SCOPE"), !path.isEmpty { return path }
        // Without procfs there is no container either.
        let own = (try? RootedDir("/proc").readlink("self/exe")) ?? []
        let parts = String(decoding: own, as: UTF8.self).split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast().joined(separator: "/") + "/berth-scope"
    }

    init(_ global: Arguments, _ log: RuntimeLog) throws(RuntimeError) {
        switch global.last("rootless") ?? "auto" {
        case "auto", "false": break
        default: throw .unsupported("--rootless: this runtime needs root, and it")
        }
        switch global.last("cgroup-manager") ?? "cgroupfs" {
        case "cgroupfs": usesSystemd = global.has("systemd-cgroup")
        case "systemd": usesSystemd = true
        case let other: throw .usage("--cgroup-manager: '\(other)' is neither cgroupfs nor systemd")
        }
        store = ContainerStore(root: try Self.absolute(global.last("root") ?? ContainerStore.defaultRoot))
        self.log = log
    }

    /// The only operand of most commands.
    func id(_ arguments: Arguments) throws(RuntimeError) -> String {
        guard arguments.operands.count == 1, let id = arguments.operands.first else {
            throw .usage(
                arguments.operands.isEmpty
                    ? "a container id is missing" : "too many operands: '\(arguments.operands[1])' is not expected"
            )
        }
        try ContainerStore.check(id)
        return id
    }

    static func absolute(_ path: String) throws(RuntimeError) -> String {
        if path.hasPrefix("/") { return path }
        let base = try kernel { () throws(KernelError) in try CurrentProcess.workingDirectory() }
        return path == "." ? base : "\(base)/\(path)"
    }

    /// Where in its life a container is.
    ///
    /// - Parameters:
    ///   - directory: The container.
    ///   - record: Its record.
    ///   - locked: Whether the caller holds its lock.
    /// - Returns: The status at this moment.
    /// - Throws: What looking at the lock gives.
    func status(
        _ directory: ContainerDirectory,
        _ record: ContainerRecord,
        locked: Bool = false
    ) throws(RuntimeError) -> ContainerStatus {
        guard record.pid != 0 else {
            let isBusy = try locked ? false : directory.isLocked()
            return isBusy ? .creating : .stopped
        }
        // Facts that cannot be read are those of a process that is gone.
        guard let facts = try? ProcessFacts(record.pid), facts.startTime == record.startTime, facts.state != "Z",
            facts.state != "X"
        else { return .stopped }
        // A group that cannot be read goes with the process that ends this moment; nobody is told that it is paused.
        let group = try? record.manager.open(record.cgroup, owner: record.groupOwner, in: CgroupTree())
        if (try? group?.isFrozen()) == true { return .paused }
        return directory.awaitsStart ? .created : .running
    }

    /// A container whose first process lives.
    ///
    /// - Returns: Nil when that process has ended.
    func attach(
        _ directory: ContainerDirectory,
        _ record: ContainerRecord,
        _ specification: RuntimeSpec,
        filter: SeccompProgram? = nil
    ) throws(RuntimeError) -> NativeContainer? {
        guard record.pid != 0 else { return nil }
        return try native { () throws(NativeError) in
            try NativeContainer.attach(
                SandboxAttachment(
                    id: record.id,
                    specification: specification,
                    bundle: record.bundle,
                    pid: record.pid,
                    startTime: record.startTime,
                    startSocket: directory.startSocket,
                    token: record.token
                ),
                cgroup: record.cgroup,
                owner: record.groupOwner,
                manager: record.manager,
                filter: filter
            )
        }
    }

    /// A container in one of the states that a command needs.
    func attach(
        _ directory: ContainerDirectory,
        _ operation: String,
        in states: Set<ContainerStatus>
    ) throws(RuntimeError) -> NativeContainer {
        let record = try directory.read()
        let status = try status(directory, record)
        guard states.contains(status),
            let container = try attach(directory, record, directory.configuration())
        else { throw .forbidden("cannot \(operation) container '\(record.id)': it is \(status.rawValue)") }
        return container
    }
}
