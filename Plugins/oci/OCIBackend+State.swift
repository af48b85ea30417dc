import Cgroups
import FoundationEssentials
import Kernel
import ShimKit

// What another program needs to go on with the container: little, because most of it is in the bundle's record.
extension OCIBackend {
    private struct State: Codable {
        static let version = 1

        var version = State.version
        /// For one call of the runtime; nil while there is no container.
        var patienceInSeconds: Int64?
        /// The bundle's record, whose file may be damaged when another shim takes over.
        var record: String?
    }

    static var isRestorable: Bool { true }

    func state() throws(BackendError) -> [UInt8] {
        let state = State(
            patienceInSeconds: runtime?.patience.components.seconds,
            record: written.map { String(decoding: $0, as: UTF8.self) }
        )
        do { return Array(try JSONEncoder().encode(state)) } catch {
            throw Self.refused("save state", "\(error)", code: .internal)
        }
    }

    static func restore(
        _ context: BackendContext,
        state: [UInt8],
        descriptors: [String: SharedDescriptor],
        processes: [String: ContainerProcess]
    ) throws(BackendError) -> OCIBackend {
        guard let state = try? JSONDecoder().decode(State.self, from: Data(state)), state.version <= State.version
        else {
            throw refused("decode state", "not a state that this backend reads", code: .invalidArgument)
        }
        let backend = try OCIBackend(context)
        guard let seconds = state.patienceInSeconds else { return backend }
        // A version before wrote no copy of it.
        let bytes = state.record.map { Array($0.utf8) } ?? (try? File.read(file(context.bundle), limit: 64 << 10))
        guard let bytes, let record = RuntimeRecord(bytes: bytes) else {
            throw refused("read record", "'\(file(context.bundle))' cannot be read", code: .failedPrecondition)
        }
        backend.written = bytes
        let runtime = RuntimeProgram(record, bundle: context.bundle, patience: .seconds(max(1, seconds)))
        try backend.resume(runtime, record, processes)
        return backend
    }

    private static func file(_ bundle: String) -> String { "\(bundle)/\(RuntimeRecord.fileName)" }

    private func resume(
        _ runtime: RuntimeProgram,
        _ record: RuntimeRecord,
        _ processes: [String: ContainerProcess]
    ) throws(BackendError) {
        if let path = record.cgroup {
            try group { () throws(CgroupError) in
                let tree = try CgroupTree()
                (cgroup, layout) = (try tree.open(path), tree.layout)
            }
        }
        self.runtime = runtime
        known = Set(processes.values.map(\.pid))
    }

    private static func refused(_ operation: String, _ detail: String, code: ErrorCode) -> BackendError {
        .refused(stage: "upgrade", operation: operation, code: code, detail: detail)
    }
}
