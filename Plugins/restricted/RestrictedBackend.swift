import Kernel
import NativeShim
import OCISpec
import Sandbox
import Seccomp
import ShimKit
import ShimProtocol
import SwiftProtobuf

/// Native isolation with a guard over the system calls of every process of the container.
final class RestrictedBackend: NativeBackend {
    override class var information: BackendInformation {
        BackendInformation(
            name: "restricted",
            version: BuildVersion.text,
            capabilities: capabilities + ["syscall-reports", RuleSettings.ability],
            mountTypes: ["overlay", "bind"],
            optionNames: []
        )
    }

    /// Nil when the document has no filter: nothing is refused then, so there is nothing to report.
    var syscalls: SyscallGuard?
    var host: BackendHost?
    private var ledger: UseLedger?
    private let processor = SharedProcessor()

    override var guardian: (any FilterGuard)? { syscalls }

    override func attach(to host: BackendHost) {
        self.host = host
        syscalls?.attach(to: host)
        guard syscalls?.isBroken == true else { return }
        host.log("container killed: a process whose calls were learned has lost who answers")
        do throws(BackendError) { try killAll(signal: .kill) } catch {
            host.log("kill failed", ("error", error.description))
        }
    }

    override func filter(
        asking filter: SeccompProgram?,
        _ specification: RuntimeSpec
    ) throws(BackendError) -> SeccompProgram? {
        syscalls?.dropAll()
        syscalls = nil
        let settings = try GuardSettings(specification)
        guard specification.linux?.seccomp?.listenerPath ?? "" == "", filter?.asks != true else {
            throw Self.refused(
                "linux.seccomp.listenerPath",
                .unsupported,
                "this backend answers the filter's questions itself, and the kernel has one listener for all filters of a process"
            )
        }
        var filter = filter
        if try sharesNamespaces(specification) {
            filter = filter?.confinedToItself()
            guard filter != nil else {
                throw Self.refused(
                    "linux.seccomp",
                    .failedPrecondition,
                    "missing or too long: without namespaces a container has a filter, with room for what keeps it to itself"
                )
            }
        }
        guard let filter else {
            guard settings.mode != .learn else {
                throw Self.refused(
                    "linux.seccomp",
                    .failedPrecondition,
                    "missing: what is learned needs a filter as its ceiling"
                )
            }
            host?.log("nothing is guarded: the document has no filter")
            return nil
        }
        let guardian = SyscallGuard(settings, filter, try openLedger(), on: processor)
        if let host { guardian.attach(to: host) }
        syscalls = guardian
        return guardian.asking
    }

    override func sharesNamespaces(_ specification: RuntimeSpec) throws(BackendError) -> Bool {
        try RuleSettings(specification).sharesNamespaces
    }

    override func rules(for specification: RuntimeSpec) throws(BackendError) -> SandboxRules? {
        let settings = try RuleSettings(specification)
        let rules = try settings.rules()
        if rules == nil { host?.log("no access rules", ("reason", settings.reason)) }
        return rules
    }

    /// The counts of the container, which outlive its runs.
    func openLedger() throws(BackendError) -> UseLedger {
        if let ledger { return ledger }
        do throws(KernelError) {
            let opened = try UseLedger(context.bundle)
            ledger = opened
            return opened
        } catch {
            throw .failed(stage: "seccomp", error)
        }
    }

    override func start() throws(BackendError) {
        defer { syscalls?.began() }
        do throws(BackendError) { try super.start() } catch {
            syscalls?.failed()
            throw error
        }
    }

    override func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess {
        syscalls?.startedExec = request.id
        // A document that cannot be read is refused below.
        syscalls?.startedExecIsBound = (try? RuntimeSpec.Process(parsing: request.process))?.execCPUAffinity != nil
        defer {
            syscalls?.began()
            syscalls?.startedExec = ""
        }
        return try super.exec(request)
    }

    // Going on in another process ---------------------------------------------------------------------------------------

    override func state() throws(BackendError) -> [UInt8] {
        nativeState().map { ShimRestrictedState($0, syscalls).bytes } ?? []
    }

    override var heldDescriptors: [String: SharedDescriptor] {
        var held = nativeDescriptors
        for filter in (syscalls?.filters ?? [:]).values { held[GuardState.name(filter.number)] = filter.listener }
        return held
    }

    override class func nativeState(_ state: [UInt8]) -> ShimNativeState? {
        (try? ShimRestrictedState(serializedBytes: state))?.native
    }

    override class func restore(
        _ context: BackendContext,
        state: [UInt8],
        descriptors: [String: SharedDescriptor],
        processes: [String: ContainerProcess]
    ) throws(BackendError) -> Self {
        guard let state = try? ShimRestrictedState(serializedBytes: state) else { throw notAState }
        let backend = try self.init(context)
        if let program = try filter(state.filter) {
            guard let mode = GuardSettings.Mode(rawValue: state.mode) else { throw notAState }
            let settings = GuardSettings(profile: state.profile, mode: mode)
            let guardian = SyscallGuard(settings, program, try backend.openLedger(), on: backend.processor)
            guardian.lastNumber = state.lastListener
            for filter in state.listeners {
                guard let listener = descriptors[GuardState.name(filter.number)] else {
                    guardian.lost(number: filter.number)
                    continue
                }
                guardian.restore(listener, number: filter.number, execID: filter.execID)
            }
            backend.syscalls = guardian
        }
        try backend.goOn(with: state.native, descriptors, processes, answers: backend.syscalls?.program)
        return backend
    }

    override func endIsNear() {
        // Of a run whose calls nobody heard for a while there is no last word: it is incomplete.
        syscalls?.reports.finish(isWhole: syscalls?.isBroken != true)
    }

    override func delete() throws(BackendError) {
        try super.delete()
        syscalls?.dropAll()
    }

    private static func refused(_ object: String, _ code: ErrorCode, _ detail: String) -> BackendError {
        .refused(stage: "seccomp", operation: "guard", object: object, code: code, detail: detail)
    }
}
