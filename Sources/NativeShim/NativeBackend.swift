import CgroupMetrics
import Cgroups
import DocumentTexts
public import Kernel
import NativeContainer
public import OCISpec
public import Sandbox
public import Seccomp
public import ShimKit
public import ShimProtocol
import SwiftProtobuf

/// Containers in namespaces and a cgroup of their own, made by this shim without any other program.
///
/// A backend with a guard inherits from it: `filter(asking:_:)` and `guardian` are what it needs to answer for the filters of the
/// container's processes.
open class NativeBackend: Backend {
    /// The native backend's own.
    open class var information: BackendInformation {
        BackendInformation(
            name: "native",
            version: BuildVersion.text,
            capabilities: capabilities,
            mountTypes: ["overlay", "bind"],
            optionNames: []
        )
    }

    /// What every backend of this kind can do.
    public static let capabilities = [
        "exec", "terminal", "pause", "update", "seccomp-program", "idmap", "exec-group",
    ]

    /// Which container this is.
    public let context: BackendContext
    var container: NativeContainer?
    /// Groups of execs, by process id; an exec's stays here while anybody is inside.
    var execGroups: [Int32: CgroupSubgroup] = [:]
    /// Name of the container's group, and in whose form that is.
    var cgroupName = ""
    var usesSystemd = false
    /// What of the document matters after the creation.
    var document: [UInt8] = []
    /// Whether the init process waits for its start.
    var isWaiting = false
    /// Whether the container's rules for files were lost with the shim before this one.
    var lacksRules = false

    /// Makes the backend of one container.
    public required init(_ context: BackendContext) throws(BackendError) {
        self.context = context
    }

    // The guard ---------------------------------------------------------------------------------------------------------

    /// Who answers the questions of the filters of the container's processes; nil without a guard.
    open var guardian: (any FilterGuard)? { nil }

    /// The filter that is loaded in the place of the document's, with questions that `guardian` answers.
    ///
    /// - Parameters:
    ///   - filter: The document's; nil without one.
    ///   - specification: The document.
    /// - Returns: The filter; nil leaves the document's as it is, and nobody is asked.
    /// - Throws: A document that cannot be guarded.
    open func filter(
        asking filter: SeccompProgram?,
        _ specification: RuntimeSpec
    ) throws(BackendError) -> SeccompProgram? { nil }

    /// What the container's processes may do with files, beside what the mounts say; nil without such rules.
    ///
    /// - Parameter specification: The document.
    /// - Returns: Rules made for this container, which its creation writes down.
    /// - Throws: A document that asks for rules that this kernel does not have.
    open func rules(for specification: RuntimeSpec) throws(BackendError) -> SandboxRules? { nil }

    /// Whether a document without namespaces is one for a container that shares them all with the host.
    ///
    /// - Parameter specification: The document.
    /// - Returns: Without which such a document is refused.
    /// - Throws: A document that asks for that in another way than it can be had.
    open func sharesNamespaces(_ specification: RuntimeSpec) throws(BackendError) -> Bool { false }

    // The container -----------------------------------------------------------------------------------------------------

    /// Creates the container, waiting for `start`.
    open func create(_ request: BackendCreateRequest) throws(BackendError) -> ContainerProcess {
        let (specification, kept) = try Self.document("config.json") { () throws(DocumentError) in
            try RuntimeSpec.parsing(request.specification)
        }
        let cgroup =
            request.usesSystemdCgroup ? "system.slice:berth:\(context.id)" : Self.defaultCgroup(context)
        let sandbox = try sandboxRequest(request, specification)
        let container = try native { () throws(NativeError) in
            try NativeContainer.create(
                sandbox,
                defaultCgroup: cgroup,
                owner: Self.groupOwner(context),
                manager: Self.manager(systemd: request.usesSystemdCgroup)
            )
        }
        self.container = container
        document = kept
        cgroupName = NativeContainer.cgroupPath(of: specification, default: cgroup)
        (usesSystemd, isWaiting) = (request.usesSystemdCgroup, true)
        Self.log(container.process.warnings)
        return ContainerProcess(container.process)
    }

    private func sandboxRequest(
        _ request: BackendCreateRequest,
        _ specification: RuntimeSpec
    ) throws(BackendError) -> SandboxRequest {
        let filter = try native { () throws(NativeError) in try Self.filter(specification, context.bundle) }
        let asking = try self.filter(asking: filter, specification)
        var sandbox = SandboxRequest(
            id: context.id,
            specification: specification,
            bundle: context.bundle,
            rootMounts: request.rootMounts.map {
                SandboxRootMount(type: $0.type, source: $0.source, options: $0.options)
            },
            streams: request.streams.sandbox,
            seccomp: asking ?? filter
        )
        if asking != nil { sandbox.answers = filter }
        sandbox.allowsNoNamespaces = try sharesNamespaces(specification)
        sandbox.rules = try rules(for: specification)
        return sandbox
    }

    /// Lets the init process run its program.
    open func start() throws(BackendError) {
        let container = try existing("start")
        isWaiting = false
        try native { () throws(NativeError) in try container.start(answering: guardian) }
    }

    /// Starts one more process, in a group of its own inside of the container's.
    open func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess {
        let container = try existing("exec")
        guard !lacksRules else {
            let detail = "the container's access rules were lost with the shim before this one: restart the container"
            throw .refused(stage: "exec", operation: "exec", code: .failedPrecondition, detail: detail)
        }
        let document = try Self.document("process") { () throws(DocumentError) in
            try RuntimeSpec.Process(parsing: request.process)
        }
        let exec = try native { () throws(NativeError) in
            try container.exec(document, streams: request.streams.sandbox, answering: guardian)
        }
        Self.log(exec.process.warnings)
        execGroups[exec.process.pid] = exec.group
        return ContainerProcess(exec.process)
    }

    /// Sends a signal to the process's group.
    open func killAll(_ process: ContainerProcess, signal: Signal) throws(BackendError) {
        guard let group = execGroups[process.pid] else { return try kill(process, signal: signal) }
        do throws(CgroupError) {
            // What is still there after that is in the kernel's hands; it goes with the container.
            try group.signalAll(signal, timeout: .milliseconds(500))
        } catch {
            throw BackendError(.cgroup(error))
        }
    }

    /// Removes the groups of exec sessions that nobody is in any more.
    open func ended(_ process: ContainerProcess) {
        // What an exec has left running keeps its group, which is looked at again at the end of the next one.
        execGroups = execGroups.filter { (try? $0.value.removeIfEmpty()) != true }
    }

    /// Sends a signal to every process of the container's group.
    open func killAll(signal: Signal) throws(BackendError) {
        // What is still there after that is in the kernel's hands; the shim asks again when it deletes.
        try native { () throws(NativeError) in try container?.signalAll(signal) }
    }

    /// Freezes the container's group.
    open func pause() throws(BackendError) {
        let container = try existing("pause")
        try native { () throws(NativeError) in try container.pause() }
    }

    /// Thaws the container's group.
    open func resume() throws(BackendError) {
        let container = try existing("resume")
        try native { () throws(NativeError) in try container.resume() }
    }

    /// Changes the limits of the container's group.
    open func update(resources: [UInt8]) throws(BackendError) {
        let container = try existing("update")
        let limits = try Self.document("resources") { () throws(DocumentError) in
            try RuntimeSpec.Resources(parsing: resources)
        }
        try native { () throws(NativeError) in try container.update(limits) }
    }

    /// What the container's group uses.
    open func metrics() throws(BackendError) -> BackendMetrics {
        let container = try existing("metrics")
        let statistics = try native { () throws(NativeError) in try container.statistics() }
        return container.layout == .v1
            ? .version1(.init(statistics, kills: container.outOfMemory().kills)) : .version2(.init(statistics))
    }

    /// The processes of the container's group.
    open func processes() throws(BackendError) -> [Int32] {
        try native { () throws(NativeError) in try container?.processes() ?? [] }
    }

    /// What the container's group says of memory that ran out.
    open func outOfMemory() -> OutOfMemory {
        guard let verdict = container?.outOfMemory() else { return OutOfMemory() }
        return OutOfMemory(kills: verdict.kills, owner: verdict.owner)
    }

    /// Removes the container's group and runs the hooks that follow.
    open func delete() throws(BackendError) {
        guard let container else { return }
        let failures = try native { () throws(NativeError) in try container.delete() }
        self.container = nil
        execGroups = [:]
        // The container is gone; what its hooks say of that is for the log.
        Self.log(failures.map(\.description))
    }

    /// Standard error is the log.
    private static func log(_ lines: [String]) {
        // Nobody is left to be told when it is closed.
        for line in lines { try? BorrowedDescriptor.standardError.writeAll("\(line)\n") }
    }

    /// Kills what is left of the container, and removes its group.
    open class func cleanUp(_ context: BackendContext) throws(BackendError) {
        var path = defaultCgroup(context)
        // What the shim has written down about itself; when it has not come so far, what it was asked for.
        let kept = context.writtenState().flatMap(nativeState)
        if let kept, !kept.cgroup.isEmpty { path = kept.cgroup }
        if let specification = specification(kept, context) {
            if kept?.cgroup.isEmpty != false { path = NativeContainer.cgroupPath(of: specification, default: path) }
            SandboxSurroundings(id: context.id, specification: specification, bundle: context.bundle).removeGroups()
        }
        do throws(NativeError) {
            try NativeContainer.removeGroup(path, owner: groupOwner(context), helper: scopeHelper)
        } catch {
            throw BackendError(error)
        }
    }

    // Going on in another process ---------------------------------------------------------------------------------------

    /// It is.
    open class var isRestorable: Bool { true }

    /// The native part, which is all.
    open func state() throws(BackendError) -> [UInt8] { nativeState()?.bytes ?? [] }

    /// The native part's, which are all.
    open var heldDescriptors: [String: SharedDescriptor] { nativeDescriptors }

    /// Goes on with a container that another object has created.
    open class func restore(
        _ context: BackendContext,
        state: [UInt8],
        descriptors: [String: SharedDescriptor],
        processes: [String: ContainerProcess]
    ) throws(BackendError) -> Self {
        guard let state = nativeState(state) else { throw notAState }
        let backend = try self.init(context)
        try backend.goOn(with: state, descriptors, processes)
        return backend
    }

    /// The native part of what `state` gave.
    ///
    /// - Parameter state: The bytes.
    /// - Returns: Nil when that cannot be read.
    open class func nativeState(_ state: [UInt8]) -> ShimNativeState? {
        try? ShimNativeState(serializedBytes: state)
    }

    // In the shim -------------------------------------------------------------------------------------------------------

    /// Does nothing.
    open func attach(to host: BackendHost) {}

    /// Does nothing.
    open func endIsNear() {}

    private static func specification(_ kept: ShimNativeState?, _ context: BackendContext) -> RuntimeSpec? {
        if let kept, !kept.document.isEmpty { return try? RuntimeSpec(parsing: Array(kept.document)) }
        let json = try? File.read("\(context.bundle)/config.json", limit: 1 << 24)
        // A damaged document may name somebody else's group.
        return json.flatMap { CheckedObject.isSound($0) ? try? RuntimeSpec(parsing: $0) : nil }
    }
}

extension NativeBackend {
    /// `berth-scope` is installed beside the shim, whose name is the one that it was started by also after it has sealed itself.
    private static var scopeHelper: String {
        if let path = Environment.value("BERTH_SCOPE"), !path.isEmpty { return path }
        let own = CommandLine.arguments.first ?? ""
        return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/berth-scope"
    }

    private static func defaultCgroup(_ context: BackendContext) -> String { "/\(context.namespace)/\(context.id)" }

    /// Whose the container's group is, told by what every shim of the container knows.
    private static func groupOwner(_ context: BackendContext) -> String { "\(context.namespace)/\(context.id)" }

    private static func filter(
        _ specification: RuntimeSpec,
        _ bundle: String
    ) throws(NativeError) -> SeccompProgram? {
        do throws(SandboxError) {
            return try Sandbox.seccompProgram(for: specification, bundle: bundle)
        } catch {
            throw .sandbox(error)
        }
    }

    static func manager(systemd: Bool) -> CgroupManager {
        systemd ? .systemd(helper: scopeHelper) : .filesystem
    }

    static func document<Value>(
        _ name: String,
        _ body: () throws(DocumentError) -> Value
    ) throws(BackendError) -> Value {
        do throws(DocumentError) { return try body() } catch { throw BackendError(.document(name, error)) }
    }

    private func existing(_ operation: String) throws(BackendError) -> NativeContainer {
        if let container { return container }
        throw .refused(
            stage: operation,
            operation: operation,
            code: .failedPrecondition,
            detail: "there is no container"
        )
    }

    func native<Result>(_ body: () throws(NativeError) -> Result) throws(BackendError) -> Result {
        do throws(NativeError) { return try body() } catch { throw BackendError(error) }
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
    init(_ error: NativeError) {
        guard let errno = error.errno, error.detail.isEmpty else {
            self = .refused(
                stage: error.stage,
                operation: error.operation,
                object: error.object,
                code: error.code,
                detail: error.detail
            )
            return
        }
        self = .failed(
            stage: error.stage,
            operation: error.operation,
            object: error.object,
            errno: errno,
            code: error.code
        )
    }
}
