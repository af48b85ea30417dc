import Cgroups
import DocumentTexts
public import FoundationEssentials
public import Kernel
import NativeContainer
import OCISpec
import Sandbox
public import Seccomp
public import ShimKit
public import ShimProtocol
import SwiftProtobuf

// What another program needs to go on with the container.
extension NativeBackend {
    /// The conversation with an init process that waits for its start.
    private static let door = "door"
    /// The container's rules for files.
    private static let rules = "rules"

    /// What there is of the native part of the container.
    public func nativeState() -> ShimNativeState? {
        guard let container else { return nil }
        return ShimNativeState.with { state in
            state.cgroup = cgroupName
            state.systemd = usesSystemd
            state.filter = .init(container.filter?.encoded ?? [])
            state.waits = isWaiting
            state.document = .init(document)
            state.ruled = container.rules != nil || lacksRules
            if let memory = container.outOfMemoryRecord() { state.memory = .init(memory) }
            state.groups = execGroups.map { pid, group in
                ShimNativeGroup.with { ($0.pid, $0.path) = (UInt32(pid), group.path) }
            }
        }
    }

    /// Descriptors of the native part.
    public var nativeDescriptors: [String: SharedDescriptor] {
        var held: [String: SharedDescriptor] = [:]
        if isWaiting, let door = container?.process.conversation { held[Self.door] = door }
        if let rules = container?.rules { held[Self.rules] = rules.descriptor }
        return held
    }

    /// Goes on with the native part of a container.
    ///
    /// - Parameters:
    ///   - state: What `nativeState` gave.
    ///   - descriptors: What is still there of `nativeDescriptors`.
    ///   - processes: As for `restore`.
    ///   - answers: What `guardian` answers by; nil without a guard.
    /// - Throws: As `restore`.
    public func goOn(
        with state: ShimNativeState,
        _ descriptors: [String: SharedDescriptor],
        _ processes: [String: ContainerProcess],
        answers: SeccompProgram? = nil
    ) throws(BackendError) {
        guard !state.cgroup.isEmpty else { return }
        guard let initial = processes[""] else {
            throw Self.refused("find init process", "the state has none", code: .invalidArgument)
        }
        let rules = state.ruled ? descriptors[Self.rules].map { SandboxRules($0) } : nil
        lacksRules = state.ruled && rules == nil
        try resume(state, initial, descriptors[Self.door], answers, rules)
    }

    /// The error for a state that is none.
    public static var notAState: BackendError {
        refused("decode state", "not a state of this backend", code: .invalidArgument)
    }

    private func resume(
        _ state: ShimNativeState,
        _ initial: ContainerProcess,
        _ door: SharedDescriptor?,
        _ answers: SeccompProgram?,
        _ rules: SandboxRules?
    ) throws(BackendError) {
        document = Array(state.document)
        let specification = try Self.specification(document, context.bundle)
        let filter = try Self.filter(state.filter)
        container = try native { () throws(NativeError) in
            try NativeContainer.resume(
                try Self.process(initial, context, specification, door, isGuarded: answers != nil),
                id: context.id,
                specification: specification,
                bundle: context.bundle,
                cgroup: state.cgroup,
                manager: Self.manager(systemd: state.systemd),
                filter: filter,
                answers: answers,
                rules: rules,
                memory: state.hasMemory ? state.memory.record : nil
            )
        }
        cgroupName = state.cgroup
        usesSystemd = state.systemd
        isWaiting = state.waits
        for group in state.groups {
            // One that is gone had nobody inside any more.
            execGroups[Int32(clamping: group.pid)] = try? container?.cgroup.openSubgroup(group.path)
        }
    }

    private static func process(
        _ initial: ContainerProcess,
        _ context: BackendContext,
        _ specification: RuntimeSpec,
        _ door: SharedDescriptor?,
        isGuarded: Bool
    ) throws(NativeError) -> SandboxProcess {
        do throws(SandboxError) {
            return try SandboxProcess.resume(
                id: context.id,
                specification: specification,
                bundle: context.bundle,
                pid: initial.pid,
                pidfd: initial.pidfd,
                terminal: initial.terminal,
                conversation: door,
                isGuarded: isGuarded
            )
        } catch {
            throw .sandbox(error)
        }
    }

    /// The document as it was when the container was created, and not as somebody may have made it since.
    private static func specification(
        _ kept: [UInt8],
        _ bundle: String
    ) throws(BackendError) -> RuntimeSpec {
        guard kept.isEmpty else {
            return try document("document") { () throws(DocumentError) in try RuntimeSpec(parsing: kept) }
        }
        let bytes: [UInt8]
        do throws(KernelError) {
            bytes = try File.read("\(bundle)/config.json", limit: 1 << 24)
        } catch {
            throw .failed(stage: "upgrade", error)
        }
        guard CheckedObject.isSound(bytes) else {
            throw refused("read '\(bundle)/config.json'", "it is damaged", code: .invalidArgument)
        }
        return try document("config.json") { () throws(DocumentError) in try RuntimeSpec(parsing: bytes) }
    }

    /// A filter of a state; nil for no bytes.
    ///
    /// - Throws: One that is damaged.
    public static func filter(_ bytes: Data) throws(BackendError) -> SeccompProgram? {
        guard !bytes.isEmpty else { return nil }
        do throws(SeccompError) {
            return try SeccompProgram(encoded: Array(bytes))
        } catch {
            throw refused("read filter", error.description, code: .invalidArgument)
        }
    }

    private static func refused(_ operation: String, _ detail: String, code: ErrorCode) -> BackendError {
        .refused(stage: "upgrade", operation: operation, code: code, detail: detail)
    }
}

extension ShimNativeMemory {
    init(_ record: OutOfMemoryRecord) {
        self.init()
        (kills, owner, pressure) = (record.verdict.kills, record.verdict.owner, record.pressure)
    }

    var record: OutOfMemoryRecord {
        OutOfMemoryRecord(verdict: OutOfMemoryVerdict(kills: kills, owner: owner), pressure: pressure)
    }
}
