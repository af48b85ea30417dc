import CgroupMetrics
import Cgroups
import HostBundle
import Kernel
import ShimKit
import ShimProtocol

/// Containers that an OCI runtime makes: runc, crun, or any other with their command line.
///
/// The runtime is called for what changes the container. What it uses, who is in it and whether memory ran out is read from its
/// control group directly. A runtime's word is checked: the process that it names must be a new child of this shim.
final class OCIBackend: Backend {
    static let information = BackendInformation(
        name: "oci",
        version: BuildVersion.text,
        capabilities: ["exec", "terminal", "pause", "update"],
        mountTypes: ["overlay", "bind"],
        optionNames: ["runtime", "root", "timeout", "hide-cgroup2"]
    )

    /// The runtime when nothing else is said.
    static let defaultRuntime = "runc"
    /// Time for one call of the runtime when nothing else is said, in seconds.
    static let defaultPatience = 20

    let context: BackendContext
    let root: BundleRoot
    var runtime: RuntimeProgram?
    var cgroup: (any Cgroup)?
    var layout = CgroupTree.Layout.v2
    /// Processes that the runtime has named and that are real.
    var known: Set<Int32> = []
    /// The record as it was written last; nil while there is no container.
    var written: [UInt8]?

    var records: [String: [UInt8]] { written.map { [RuntimeRecord.fileName: $0] } ?? [:] }

    init(_ context: BackendContext) throws(BackendError) {
        self.context = context
        root = BundleRoot(bundle: context.bundle)
    }

    // Create, start, exec -----------------------------------------------------------------------------------------------

    func create(_ request: BackendCreateRequest) throws(BackendError) -> ContainerProcess {
        var (runtime, record) = try Self.runtime(request, context)
        try runtime.check(request.specification)
        record.groupWasThere = try ContainerGroup.isThere(forDocument: request.specification)
        written = try record.write(context.bundle)
        self.runtime = runtime
        do throws(BackendError) {
            try root.mount(request.rootMounts)
            let document = try root.resolved(specification: request.specification)
            if document != request.specification { try write(document, to: "\(context.bundle)/config.json") }
            let process = try make(["create", "--bundle", context.bundle], named: "init", request.streams)
            try findGroup(of: process.pid, record)
            return process
        } catch {
            abandon()
            throw error
        }
    }

    func start() throws(BackendError) {
        try existing("start").run(["start", context.id])
    }

    func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess {
        try existing("exec").check(process: request.process)
        let file = "\(context.bundle)/exec-\(request.id).json"
        try write(try root.resolved(process: request.process), to: file)
        // It goes with the bundle otherwise.
        defer { _ = try? File.remove(file) }
        return try make(["exec", "--detach", "--process", file], named: "exec-\(request.id)", request.streams)
    }

    /// Has the runtime make a process, and finds it.
    private func make(
        _ words: [String],
        named name: String,
        _ streams: ProcessStreams
    ) throws(BackendError) -> ContainerProcess {
        let runtime = try existing(words[0])
        let pidFile = "\(context.bundle)/\(name).pid"
        _ = try? File.remove(pidFile)  // An old one would be taken for the answer.
        let arguments = words + ["--pid-file", pidFile]
        guard case .terminal = streams else {
            try runtime.run(arguments + [context.id], streams: streams)
            return try process(named: pidFile, by: runtime, terminal: nil)
        }
        let console = try RuntimeConsole(bundle: context.bundle, name: "\(name).sock")
        try runtime.run(arguments + ["--console-socket", console.name, context.id])
        return try process(named: pidFile, by: runtime, terminal: try console.master())
    }

    /// The process whose number a runtime has written.
    private func process(
        named file: String,
        by runtime: RuntimeProgram,
        terminal: SharedDescriptor?
    ) throws(BackendError) -> ContainerProcess {
        let found = try NamedProcess.find(file, by: runtime.path, besides: known)
        known.insert(found.pid)
        return ContainerProcess(pid: found.pid, pidfd: found.pidfd, terminal: terminal)
    }

    /// Where the container really is, whatever the document says.
    private func findGroup(of pid: Int32, _ record: RuntimeRecord) throws(BackendError) {
        var record = record
        record.pid = pid
        record.cgroup = ContainerGroup.path(of: pid)
        if let path = record.cgroup {
            do throws(CgroupError) {
                let tree = try CgroupTree()
                (cgroup, layout) = (try tree.open(path), tree.layout)
            } catch {
                throw .refused(stage: "cgroup", operation: "open", object: path, code: error.code, detail: "\(error)")
            }
        }
        written = try record.write(context.bundle)
    }

    /// A creation that failed leaves nothing, neither here nor with the runtime.
    private func abandon() {
        // Each says what it must in the log; the first error is what matters.
        Self.report { () throws(BackendError) in try runtime?.run(["delete", "--force", context.id]) }
        NamedProcess.killStrayChildren(besides: known)
        Self.removeGroups(of: context, RuntimeRecord.read(context.bundle))
        root.unmount()
        (runtime, cgroup, written) = (nil, nil, nil)
    }

    // Signals and limits ------------------------------------------------------------------------------------------------

    func kill(_ process: ContainerProcess, signal: Signal) throws(BackendError) {
        do throws(KernelError) {
            try Pidfd.send(signal, to: process.pidfd.raw)
        } catch {
            throw .failed(stage: "kill", error)
        }
    }

    func killAll(signal: Signal) throws(BackendError) {
        guard let cgroup else {
            // Only the runtime knows who belongs to it then; that those end whom it has named does not depend on it.
            if signal == .kill { NamedProcess.killChildren(of: known) }
            if let runtime { try runtime.run(["kill", "--all", context.id, "\(signal.rawValue)"]) }
            return
        }
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

    func ended(_ process: ContainerProcess) {
        known.remove(process.pid)
    }

    func pause() throws(BackendError) {
        try existing("pause").run(["pause", context.id])
    }

    func resume() throws(BackendError) {
        do throws(BackendError) {
            try existing("resume").run(["resume", context.id])
        } catch {
            // A runtime that finds the first process dead says so instead; what else is there must go on all the same.
            guard let cgroup, (try? cgroup.thaw()) != nil, (try? cgroup.isFrozen()) == false else { throw error }
        }
    }

    func update(resources: [UInt8]) throws(BackendError) {
        let file = "\(context.bundle)/resources.json"
        try write(resources, to: file)
        // It goes with the bundle otherwise.
        defer { _ = try? File.remove(file) }
        try existing("update").run(["update", "--resources", file, context.id])
    }

    // What is ------------------------------------------------------------------------------------------------------------

    func metrics() throws(BackendError) -> BackendMetrics {
        guard let cgroup else {
            throw .refused(stage: "metrics", operation: "read", code: .unsupported, detail: "there is no cgroup")
        }
        let statistics = try group { () throws(CgroupError) in try cgroup.statistics() }
        return layout == .v1
            ? .version1(.init(statistics, kills: outOfMemory().kills)) : .version2(.init(statistics))
    }

    func processes() throws(BackendError) -> [Int32] {
        guard let cgroup else { return known.sorted() }
        return try group { () throws(CgroupError) in try cgroup.processes() }
    }

    func outOfMemory() -> OutOfMemory {
        // Without a verdict there is nothing to blame memory for.
        guard let verdict = try? cgroup?.outOfMemoryVerdict() else { return OutOfMemory() }
        return OutOfMemory(kills: verdict.kills, owner: verdict.owner)
    }

    // The end ------------------------------------------------------------------------------------------------------------

    func delete() throws(BackendError) {
        guard let runtime else { return }
        do throws(BackendError) {
            try runtime.run(["delete", context.id])
        } catch {
            // What its own order does not allow, the container's end does.
            RuntimeLog.note("\(error)")
            // A runtime that cannot even that keeps nothing of the container but its own notes, which go with the bundle.
            Self.report { () throws(BackendError) in try runtime.run(["delete", "--force", context.id]) }
        }
        root.unmount()
        Self.removeGroups(of: context, RuntimeRecord.read(context.bundle))
        (self.runtime, cgroup, known, written) = (nil, nil, [], nil)
    }

    static func cleanUp(_ context: BackendContext) throws(BackendError) {
        let record = RuntimeRecord.read(context.bundle)
        if let record {
            // Killed first: a runtime may wait for what it cannot kill.
            ContainerGroup.kill(record.cgroup)
            let runtime = RuntimeProgram(record, bundle: context.bundle, patience: .seconds(2))
            report { () throws(BackendError) in try runtime.run(["delete", "--force", context.id]) }
        }
        removeGroups(of: context, record)
        BundleRoot(bundle: context.bundle).unmount()
    }
}
