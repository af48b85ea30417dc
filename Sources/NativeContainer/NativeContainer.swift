// One container of the native backend: a process made by `Sandbox`, limited by a group of `Cgroups`, confined by a filter
// of `Seccomp`, and the order in which these come and go.
//
// The model. Who creates a container holds one of these as long as it lives (a shim), or makes one again from what it has
// written down (a runtime command, which ends between two operations). Everything that both do is here, so that they
// cannot differ.

public import Cgroups
public import Kernel
public import OCISpec
public import Sandbox
public import Seccomp

/// A container that was created.
///
/// Operations block their caller, for as long as those of `Sandbox` and `Cgroup` say.
public final class NativeContainer: Sendable {
    /// The first process.
    public let process: SandboxProcess
    /// The container's group, with all its processes.
    public let cgroup: any Cgroup
    /// What shape of host the group is on.
    public let layout: CgroupTree.Layout
    /// The filter that confines every process of the container.
    public let filter: SeccompProgram?
    /// What the caller answers the filter's questions by; nil when it does not, see `FilterGuard`.
    public let answers: SeccompProgram?
    /// What every process of the container may do with files; nil leaves that to the mounts.
    public let rules: SandboxRules?

    /// What every process of the container takes from its document.
    public let surroundings: SandboxSurroundings

    private init(
        process: SandboxProcess,
        cgroup: any Cgroup,
        layout: CgroupTree.Layout,
        filter: SeccompProgram?,
        answers: SeccompProgram? = nil,
        rules: SandboxRules? = nil,
        surroundings: SandboxSurroundings
    ) {
        self.answers = answers
        self.rules = rules
        self.process = process
        self.surroundings = surroundings
        self.cgroup = cgroup
        self.layout = layout
        self.filter = filter
    }

    /// Creates a container: its group with the limits, then everything but its program.
    ///
    /// - Parameters:
    ///   - request: What to create; its group is made here and need not be given, its filter is used as it is.
    ///   - defaultCgroup: The group's name when the document names none, in the manager's form.
    ///   - owner: Whose the group becomes: a name that no other container has.
    ///   - manager: Who makes the group.
    /// - Returns: The container, waiting for `start`.
    /// - Throws: The step that failed. Nothing is left then.
    public static func create(
        _ request: SandboxRequest,
        defaultCgroup: String,
        owner: String,
        manager: CgroupManager = .filesystem
    ) throws(NativeError) -> NativeContainer {
        var request = request
        raiseScore(&request.specification.process)
        let path = cgroupPath(of: request.specification, default: defaultCgroup)
        let (cgroup, layout) = try makeGroup(path, request.specification, owner: owner, manager)
        do throws(NativeError) {
            let entrance = try group { () throws(CgroupError) in try cgroup.entrance() }
            request.cgroup = entrance
            let process = try sandbox { [request] () throws(SandboxError) in try Sandbox.create(request) }
            try verify(process, in: entrance)
            return NativeContainer(
                process: process,
                cgroup: cgroup,
                layout: layout,
                filter: request.seccomp,
                answers: request.answers,
                rules: request.rules,
                surroundings: SandboxSurroundings(
                    id: request.id,
                    specification: request.specification,
                    bundle: request.bundle
                )
            )
        } catch {
            // The first error is what matters. Hooks may have put processes of their own inside.
            _ = try? cgroup.killAll(timeout: .seconds(2))
            try? cgroup.remove(timeout: .seconds(1))
            throw error
        }
    }

    /// Finds a container that another program of ours has created.
    ///
    /// - Parameters:
    ///   - attachment: Its first process, as that program has written it down.
    ///   - path: Name of its group, in the manager's form.
    ///   - owner: As given to `create`.
    ///   - manager: Who has made the group.
    ///   - filter: Its filter.
    /// - Returns: The container; nil when its first process has ended.
    /// - Throws: `NativeError`.
    public static func attach(
        _ attachment: SandboxAttachment,
        cgroup path: String,
        owner: String,
        manager: CgroupManager,
        filter: SeccompProgram?
    ) throws(NativeError) -> NativeContainer? {
        guard let process = SandboxProcess.attach(attachment) else { return nil }
        return try group { () throws(CgroupError) in
            let tree = try CgroupTree()
            let cgroup = try manager.open(path, owner: owner, in: tree)
            return NativeContainer(
                process: process,
                cgroup: cgroup,
                layout: tree.layout,
                filter: filter,
                surroundings: SandboxSurroundings(
                    id: attachment.id,
                    specification: attachment.specification,
                    bundle: attachment.bundle
                )
            )
        }
    }

    /// Goes on with a container that another program has created, in its place.
    ///
    /// - Parameters:
    ///   - process: Its first process, which may have ended.
    ///   - id: Id of the container.
    ///   - specification: The document that it was created from, or what `RuntimeSpec.parsing` keeps of it.
    ///   - bundle: Absolute path of the bundle.
    ///   - path: Name of its group, in the manager's form.
    ///   - manager: Who has made the group.
    ///   - filter: Its filter.
    ///   - answers: What the caller answers the filter's questions by; nil when it does not.
    ///   - rules: Its rules for files.
    ///   - memory: What that program knew about memory that ran out.
    /// - Returns: The container.
    /// - Throws: `NativeError`, `notFound` when the group is gone.
    public static func resume(
        _ process: SandboxProcess,
        id: String,
        specification: RuntimeSpec,
        bundle: String,
        cgroup path: String,
        manager: CgroupManager,
        filter: SeccompProgram?,
        answers: SeccompProgram? = nil,
        rules: SandboxRules? = nil,
        memory: OutOfMemoryRecord?
    ) throws(NativeError) -> NativeContainer {
        try group { () throws(CgroupError) in
            let tree = try CgroupTree()
            let cgroup = try manager.open(path, in: tree)
            try cgroup.goOn(after: memory)
            return NativeContainer(
                process: process,
                cgroup: cgroup,
                layout: tree.layout,
                filter: filter,
                answers: answers,
                rules: rules,
                surroundings: SandboxSurroundings(id: id, specification: specification, bundle: bundle)
            )
        }
    }

    /// Path of a container's group.
    ///
    /// - Parameters:
    ///   - specification: Its document.
    ///   - path: Taken when the document names none.
    /// - Returns: The path below each hierarchy's root.
    public static func cgroupPath(of specification: RuntimeSpec, default path: String) -> String {
        let own = specification.linux?.cgroupsPath ?? ""
        return own.isEmpty ? path : own
    }

    /// Lets the program run, and returns when it does.
    ///
    /// - Parameter guardian: Who answers the filter's questions, where the caller does.
    /// - Throws: The step that failed; the process has ended then or is about to.
    public func start(answering guardian: (any FilterGuard)? = nil) throws(NativeError) {
        try sandbox { () throws(SandboxError) in try process.start(answering: guardian) }
    }

    /// Lets the created process wait for a start by another program; see `SandboxProcess.leave`.
    ///
    /// - Throws: `NativeError`.
    public func leave() throws(NativeError) { try sandbox { () throws(SandboxError) in try process.leave() } }

    /// Starts one more process, under the same confinement as the first and in a group of its own inside of the container's.
    ///
    /// - Parameters:
    ///   - process: What to run.
    ///   - streams: Its standard streams.
    ///   - preservedDescriptors: See `SandboxExecRequest`.
    ///   - subgroup: Path of an existing group below the container's to run in instead of an own one, see
    ///     `Cgroup.entrance(below:)`.
    ///   - guardian: Who answers the filter's questions, where the caller does.
    /// - Returns: The process, which runs its program already and is a child of the caller, and its group.
    /// - Throws: The step that failed. No process is left then.
    public func exec(
        _ process: RuntimeSpec.Process,
        streams: SandboxStreams,
        preservedDescriptors: Int = 0,
        subgroup: String? = nil,
        answering guardian: (any FilterGuard)? = nil
    ) throws(NativeError) -> NativeExec {
        var document: RuntimeSpec.Process? = process
        Self.raiseScore(&document)
        let own = try group { () throws(CgroupError) in try subgroup == nil ? cgroup.makeSubgroup("exec-") : nil }
        do throws(NativeError) {
            let entrance = try group { () throws(CgroupError) in
                if let own { return own.entrance }
                return try cgroup.entrance(below: subgroup ?? "")
            }
            var request = SandboxExecRequest(
                process: document ?? process,
                container: self.process.pidfd.raw,
                streams: streams,
                cgroup: entrance,
                seccomp: filter,
                surroundings: surroundings
            )
            request.preservedDescriptors = preservedDescriptors
            request.answers = answers
            request.rules = rules
            let process = try sandbox { [request] () throws(SandboxError) in
                try Sandbox.exec(request, answering: guardian)
            }
            try Self.verify(process, in: entrance)
            return NativeExec(process: process, group: own)
        } catch {
            // The first error is what matters; what is left goes with the container's group.
            _ = try? own?.removeIfEmpty()
            throw error
        }
    }

    /// Whether the process is where its limits are; one that is not must not run.
    private static func verify(_ process: SandboxProcess, in entrance: CgroupEntrance) throws(NativeError) {
        do throws(CgroupError) { try entrance.verify(process.pidfd, pid: process.pid) } catch {
            SandboxProcess.abandon(process)
            throw .cgroup(error)
        }
    }

    /// Sends a signal to the first process.
    ///
    /// A `kill` also reaches a container that is paused, and all of one whose processes would outlive their first because they
    /// share its process namespace with others.
    ///
    /// - Parameters:
    ///   - signal: What to send.
    ///   - ownsProcesses: Whether the container has a process namespace of its own.
    /// - Throws: `failedPrecondition` when the process has ended.
    public func signal(_ signal: Signal, ownsProcesses: Bool) throws(NativeError) {
        let isAlive = try sandbox { () throws(SandboxError) in try process.signal(signal) }
        guard isAlive else {
            throw .refused("kill", "signal process", "container not running", code: .failedPrecondition)
        }
        guard signal == .kill else { return }
        if ownsProcesses {
            // On version 1 a frozen process dies when it is thawed. That it was not frozen is no failure of this.
            try? cgroup.thaw()
        } else {
            try signalAll(.kill)
        }
    }

    /// Whether the container is paused.
    ///
    /// What cannot be asked is not paused: its group is gone.
    public var isPaused: Bool { (try? cgroup.isFrozen()) ?? false }

    /// Sends a signal to every process of the container.
    ///
    /// What is still there half a second after a `kill` is in the kernel's hands.
    ///
    /// - Throws: `NativeError`.
    public func signalAll(_ signal: Signal) throws(NativeError) { try Self.signalAll(signal, in: cgroup) }

    /// Sends a signal to every process of a container that the caller knows by its group.
    ///
    /// - Parameters:
    ///   - signal: What to send.
    ///   - path: Name of the group, in the manager's form; that there is none is fine, nothing is in it then.
    ///   - owner: As given to `create`; nothing is done to another's group.
    ///   - manager: Who has made the group.
    /// - Throws: `NativeError`.
    public static func signalAll(
        _ signal: Signal,
        cgroup path: String,
        owner: String,
        manager: CgroupManager
    ) throws(NativeError) {
        let cgroup: any Cgroup
        do throws(CgroupError) { cgroup = try manager.open(path, owner: owner, in: CgroupTree()) } catch {
            if error.code == .notFound { return }
            throw .cgroup(error)
        }
        try signalAll(signal, in: cgroup)
    }

    private static func signalAll(_ signal: Signal, in cgroup: any Cgroup) throws(NativeError) {
        try group { () throws(CgroupError) in
            if signal == .kill {
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

    /// Stops all processes until `resume`.
    ///
    /// - Throws: `NativeError`.
    public func pause() throws(NativeError) { try group { () throws(CgroupError) in try cgroup.freeze() } }

    /// Lets the processes go on.
    ///
    /// - Throws: `NativeError`.
    public func resume() throws(NativeError) { try group { () throws(CgroupError) in try cgroup.thaw() } }

    /// Changes limits; what is nil stays.
    ///
    /// - Throws: `NativeError`.
    public func update(_ resources: RuntimeSpec.Resources) throws(NativeError) {
        try group { () throws(CgroupError) in try cgroup.apply(resources) }
    }

    /// What the container uses now.
    ///
    /// - Throws: `NativeError`.
    public func statistics() throws(NativeError) -> CgroupStatistics {
        try group { () throws(CgroupError) in try cgroup.statistics() }
    }

    /// The processes of the container.
    ///
    /// - Throws: `NativeError`.
    public func processes() throws(NativeError) -> [Int32] {
        try group { () throws(CgroupError) in try cgroup.processes() }
    }

    /// Whether the kernel killed a process of the container for memory.
    ///
    /// Without a verdict there is nothing to blame memory for.
    public func outOfMemory() -> OutOfMemoryVerdict {
        (try? cgroup.outOfMemoryVerdict()) ?? OutOfMemoryVerdict(kills: 0, owner: "")
    }

    /// The same for a program that goes on with the container; nil when the group is gone.
    public func outOfMemoryRecord() -> OutOfMemoryRecord? { try? cgroup.outOfMemoryRecord() }

    /// Removes what is left of a container whose processes have ended, then runs the hooks that follow.
    ///
    /// - Returns: What went wrong in hooks: the container is gone all the same.
    /// - Throws: `failedPrecondition` when processes remain; nothing is removed then.
    public func delete() throws(NativeError) -> [SandboxError] {
        try group { () throws(CgroupError) in try cgroup.remove(timeout: .seconds(2)) }
        surroundings.removeGroups()
        return process.runPoststopHooks()
    }

    /// The same for a container whose first process has ended and which nobody holds any more; what has outlived that
    /// process is killed.
    ///
    /// - Parameters:
    ///   - id: Id of the container, for hooks.
    ///   - specification: The document that it was created from.
    ///   - bundle: Absolute path of the bundle.
    ///   - path: Name of its group, as for `removeGroup`.
    ///   - owner: As for `removeGroup`.
    ///   - helper: As for `removeGroup`.
    /// - Returns: What went wrong in hooks.
    /// - Throws: `NativeError`.
    public static func delete(
        id: String,
        specification: RuntimeSpec,
        bundle: String,
        cgroup path: String,
        owner: String,
        helper: String? = nil
    ) throws(NativeError) -> [SandboxError] {
        try removeGroup(path, owner: owner, helper: helper)
        SandboxSurroundings(id: id, specification: specification, bundle: bundle).removeGroups()
        return SandboxProcess.runPoststopHooks(id: id, specification: specification, bundle: bundle)
    }

    /// Kills what is left in a group that nobody holds any more, and removes it.
    ///
    /// - Parameters:
    ///   - path: Where it is, or was; a name of the form `slice:prefix:name` is looked for as systemd's scope too.
    ///   - owner: As given to `create`; another's group is left alone.
    ///   - helper: Path of `berth-scope`, which makes systemd forget the scope; nil leaves that to systemd.
    /// - Throws: `NativeError`; that there is none is fine.
    public static func removeGroup(_ path: String, owner: String, helper: String? = nil) throws(NativeError) {
        try group { () throws(CgroupError) in
            let tree = try CgroupTree()
            try remove { () throws(CgroupError) in try tree.open(path, owner: owner) }
            guard let name = try? SystemdScopeName(path) else { return }
            try remove { () throws(CgroupError) in
                guard let helper else { return try tree.open(name.path, owner: owner) }
                return try CgroupManager.systemd(helper: helper).open(path, owner: owner, in: tree)
            }
        }
    }

    private static func remove(_ open: () throws(CgroupError) -> any Cgroup) throws(CgroupError) {
        do throws(CgroupError) {
            let cgroup = try open()
            _ = try cgroup.killAll(timeout: .seconds(2))
            try cgroup.remove(timeout: .seconds(2))
        } catch  where error.code == .notFound {}
    }

    private static func makeGroup(
        _ path: String,
        _ specification: RuntimeSpec,
        owner: String,
        _ manager: CgroupManager
    ) throws(NativeError) -> (any Cgroup, CgroupTree.Layout) {
        var resources = specification.linux?.resources ?? .init()
        resources.devices = resources.devices.map(Sandbox.deviceRules)
        let root = try sandbox { () throws(SandboxError) in try delegate(specification) }
        return try group { () throws(CgroupError) in
            let tree = try CgroupTree()
            let cgroup = try manager.create(path, resources, owner: owner, in: tree)
            do throws(CgroupError) {
                if let root { try cgroup.delegate(uid: root.user, gid: root.group) }
                return (cgroup, tree.layout)
            } catch {
                // The first error is what matters; the group is empty.
                try? cgroup.remove(timeout: .seconds(1))
                throw error
            }
        }
    }

    /// Whose the group becomes: the root of a container that has users, groups of processes and a writable view of them of its own.
    private static func delegate(
        _ specification: RuntimeSpec
    ) throws(SandboxError) -> (user: UInt32, group: UInt32)? {
        let namespaces = specification.linux?.namespaces ?? []
        guard namespaces.contains(where: { $0.type == .cgroup && ($0.path ?? "").isEmpty }),
            specification.mounts?.contains(where: {
                ["cgroup", "cgroup2"].contains($0.type) && $0.options?.contains("ro") != true
            }) == true
        else { return nil }
        return try Sandbox.root(of: specification)
    }

    /// Keeps a container from inheriting its maker's own protection against the out-of-memory killer.
    private static func raiseScore(_ process: inout RuntimeSpec.Process?) {
        guard process?.oomScoreAdj == nil else { return }
        // What cannot be read is not known to be harmless.
        let own = (try? File.readText("/proc/self/oom_score_adj", limit: 64)).flatMap { Int($0.prefix { $0 != "\n" }) }
        if (own ?? -1) < 0 { process?.oomScoreAdj = 0 }
    }
}

/// One more process of a container.
public struct NativeExec: Sendable {
    /// The process.
    public let process: SandboxProcess
    /// Its own group, with all that it starts; remove it when the process has ended.
    ///
    /// Nil when the caller named a group.
    public let group: CgroupSubgroup?
}
