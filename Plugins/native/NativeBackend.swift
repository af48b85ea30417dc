import Cgroups
import Kernel
import OCISpec
import Sandbox
import Seccomp
import ShimKit

/// Containers in namespaces and a cgroup of their own, made by this shim without any other program.
final class NativeBackend: Backend {
    static let information = BackendInformation(
        name: "native",
        version: "0.1.0",
        capabilities: ["exec", "terminal", "pause", "update", "seccomp-program"],
        mountTypes: ["overlay", "bind"]
    )

    private let context: BackendContext
    private var cgroup: (any Cgroup)?
    private var layout = CgroupTree.Layout.v1
    private var process: SandboxProcess?
    /// Kept for `exec`: the same filter confines every process of the container.
    private var filter: SeccompProgram?

    init(_ context: BackendContext) throws(BackendError) {
        self.context = context
    }

    func create(_ request: BackendCreateRequest) throws(BackendError) -> ContainerProcess {
        var specification = try Self.document("config.json") { () throws(DocumentError) in
            try RuntimeSpec(parsing: request.specification)
        }
        Self.raiseScore(&specification.process)
        let filter = try stage { () throws(SandboxError) in
            try Sandbox.seccompProgram(for: specification, bundle: context.bundle)
        }
        let cgroup = try makeCgroup(specification)
        do throws(BackendError) {
            let entrance = try group { () throws(CgroupError) in try cgroup.entrance() }
            let process = try stage { () throws(SandboxError) in
                try Sandbox.create(
                    SandboxRequest(
                        id: context.id,
                        specification: specification,
                        bundle: context.bundle,
                        rootMounts: try Self.rootMounts(request.rootMounts),
                        streams: request.streams.sandbox,
                        cgroup: entrance,
                        seccomp: filter
                    )
                )
            }
            self.cgroup = cgroup
            self.process = process
            self.filter = filter
            return ContainerProcess(process)
        } catch {
            // The first error is what matters; the group is empty.
            try? cgroup.remove(timeout: .seconds(1))
            throw error
        }
    }

    func start() throws(BackendError) {
        guard let process else { throw Self.missing("start") }
        try stage { () throws(SandboxError) in try process.start() }
    }

    func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess {
        guard let process, let cgroup else { throw Self.missing("exec") }
        var document: RuntimeSpec.Process? = try Self.document("process") { () throws(DocumentError) in
            try RuntimeSpec.Process(parsing: request.process)
        }
        Self.raiseScore(&document)
        guard let document else { throw Self.missing("exec") }
        let entrance = try group { () throws(CgroupError) in try cgroup.entrance() }
        let extra = try stage { () throws(SandboxError) in
            try Sandbox.exec(
                SandboxExecRequest(
                    process: document,
                    container: process.pidfd.raw,
                    streams: request.streams.sandbox,
                    cgroup: entrance,
                    seccomp: filter
                )
            )
        }
        return ContainerProcess(extra)
    }

    func killAll(signal: Signal) throws(BackendError) {
        guard let cgroup else { return }
        try group { () throws(CgroupError) in
            if signal == .kill {
                // What is still there after that is in the kernel's hands; the shim asks again when it deletes.
                _ = try cgroup.killAll(timeout: .milliseconds(500))
                return
            }
            for pid in try cgroup.processes() {
                // Opened before it is looked at again: a number that was reused names no process of the group.
                guard let target = try? Pidfd(pid: pid), try cgroup.processes().contains(pid) else { continue }
                _ = try? target.send(signal)
            }
        }
    }

    func pause() throws(BackendError) {
        guard let cgroup else { throw Self.missing("pause") }
        try group { () throws(CgroupError) in try cgroup.freeze() }
    }

    func resume() throws(BackendError) {
        guard let cgroup else { throw Self.missing("resume") }
        try group { () throws(CgroupError) in try cgroup.thaw() }
    }

    func update(resources: [UInt8]) throws(BackendError) {
        guard let cgroup else { throw Self.missing("update") }
        let limits = try Self.document("resources") { () throws(DocumentError) in
            try RuntimeSpec.Resources(parsing: resources)
        }
        try group { () throws(CgroupError) in try cgroup.apply(limits) }
    }

    func metrics() throws(BackendError) -> BackendMetrics {
        guard let cgroup else { throw Self.missing("metrics") }
        let statistics = try group { () throws(CgroupError) in try cgroup.statistics() }
        let kills = outOfMemory().kills
        return layout == .v1 ? .version1(.init(statistics, kills: kills)) : .version2(.init(statistics, kills: kills))
    }

    func processes() throws(BackendError) -> [Int32] {
        guard let cgroup else { return [] }
        return try group { () throws(CgroupError) in try cgroup.processes() }
    }

    func outOfMemory() -> OutOfMemory {
        // Without a verdict there is nothing to blame memory for.
        guard let verdict = try? cgroup?.outOfMemoryVerdict() else { return OutOfMemory() }
        return OutOfMemory(kills: verdict.kills, owner: verdict.owner)
    }

    func delete() throws(BackendError) {
        guard let cgroup else { return }
        try group { () throws(CgroupError) in try cgroup.remove(timeout: .seconds(2)) }
        self.cgroup = nil
        // The container is gone; what its hooks say of that is for the log, which standard error is.
        for error in process?.runPoststopHooks() ?? [] {
            try? BorrowedDescriptor.standardError.writeAll("\(error)\n")
        }
        process = nil
    }

    static func cleanUp(_ context: BackendContext) throws(BackendError) {
        var path = "/\(context.namespace)/\(context.id)"
        if let json = try? File.read("\(context.bundle)/config.json", limit: 1 << 24),
            let specification = try? RuntimeSpec(parsing: json)
        {
            path = cgroupPath(specification, context)
        }
        do throws(CgroupError) {
            let cgroup = try CgroupTree().open(path)
            _ = try cgroup.killAll(timeout: .seconds(2))
            try cgroup.remove(timeout: .seconds(2))
        } catch  where error.code == .notFound {
            return
        } catch {
            throw .cgroup(error)
        }
    }
}

extension NativeBackend {
    private func makeCgroup(_ specification: RuntimeSpec) throws(BackendError) -> any Cgroup {
        try group { () throws(CgroupError) in
            let tree = try CgroupTree()
            layout = tree.layout
            let cgroup = try tree.create(Self.cgroupPath(specification, context))
            guard var resources = specification.linux?.resources else { return cgroup }
            resources.devices = resources.devices.map(Sandbox.deviceRules)
            do throws(CgroupError) { try cgroup.apply(resources) } catch {
                // The first error is what matters; the group is empty.
                try? cgroup.remove(timeout: .seconds(1))
                throw error
            }
            return cgroup
        }
    }

    private static func cgroupPath(_ specification: RuntimeSpec, _ context: BackendContext) -> String {
        let path = specification.linux?.cgroupsPath ?? ""
        return path.isEmpty ? "/\(context.namespace)/\(context.id)" : path
    }

    private static func rootMounts(_ mounts: [RootMount]) throws(SandboxError) -> [SandboxRootMount] {
        mounts.map { SandboxRootMount(type: $0.type, source: $0.source, options: $0.options) }
    }

    private static func document<Value>(
        _ name: String,
        _ body: () throws(DocumentError) -> Value
    ) throws(BackendError) -> Value {
        do throws(DocumentError) { return try body() } catch {
            throw .refused(
                stage: "specification",
                operation: "read",
                object: name,
                code: .invalidArgument,
                detail: error.description
            )
        }
    }

    /// Keeps a container from inheriting the shim's own protection against the out-of-memory killer.
    private static func raiseScore(_ process: inout RuntimeSpec.Process?) {
        guard process?.oomScoreAdj == nil else { return }
        // What cannot be read is not known to be harmless.
        let own = (try? File.readText("/proc/self/oom_score_adj", limit: 64)).flatMap { Int($0.prefix { $0 != "\n" }) }
        if (own ?? -1) < 0 { process?.oomScoreAdj = 0 }
    }

    private static func missing(_ operation: String) -> BackendError {
        .refused(stage: operation, operation: operation, code: .failedPrecondition, detail: "there is no container")
    }

    private func stage<Result>(_ body: () throws(SandboxError) -> Result) throws(BackendError) -> Result {
        do throws(SandboxError) { return try body() } catch { throw .sandbox(error) }
    }

    private func group<Result>(_ body: () throws(CgroupError) -> Result) throws(BackendError) -> Result {
        do throws(CgroupError) { return try body() } catch { throw .cgroup(error) }
    }
}

extension ContainerProcess {
    init(_ process: SandboxProcess) {
        self.init(pid: process.pid, pidfd: process.pidfd, terminal: process.terminal)
    }
}

extension ProcessStreams {
    var sandbox: SandboxStreams {
        switch self {
        case .terminal: .terminal
        case .descriptors(let input, let output, let error):
            .descriptors(input: input.raw, output: output.raw, error: error.raw)
        }
    }
}

extension BackendError {
    static func sandbox(_ error: SandboxError) -> BackendError {
        guard let errno = error.errno, error.detail.isEmpty else {
            return .refused(
                stage: error.stage.rawValue,
                operation: error.operation,
                object: error.object,
                code: error.code,
                detail: error.detail
            )
        }
        return .failed(
            stage: error.stage.rawValue,
            operation: error.operation,
            object: error.object,
            errno: errno,
            code: error.code
        )
    }

    static func cgroup(_ error: CgroupError) -> BackendError {
        guard let cause = error.cause else {
            return .refused(
                stage: "cgroup",
                operation: error.operation,
                object: error.field,
                code: error.code,
                detail: error.message
            )
        }
        return .failed(stage: "cgroup", cause, code: error.code)
    }
}
