import FoundationEssentials
import Kernel
import ShimKit

// Going on in another program or another process: the foreign shim is called anew, where the record says that it listens.
extension ForeignBackend {
    private struct State: Codable {
        static let version = 1

        var version = State.version
        /// The bundle's record, whose file may be damaged when another shim takes over; nil while there is no container.
        var record: String?
    }

    private static let inputName = "input"

    static var isRestorable: Bool { true }

    func state() throws(BackendError) -> [UInt8] {
        let state = State(record: written.map { String(decoding: $0, as: UTF8.self) })
        do { return Array(try JSONEncoder().encode(state)) } catch {
            throw Self.refused("save state", "\(error)", code: .internal)
        }
    }

    var heldDescriptors: [String: SharedDescriptor] { input.map { [Self.inputName: $0] } ?? [:] }

    static func restore(
        _ context: BackendContext,
        state: [UInt8],
        descriptors: [String: SharedDescriptor],
        processes: [String: ContainerProcess]
    ) throws(BackendError) -> ForeignBackend {
        guard let state = try? JSONDecoder().decode(State.self, from: Data(state)), state.version <= State.version
        else {
            throw refused("decode state", "not a state that this backend reads", code: .invalidArgument)
        }
        let backend = try ForeignBackend(context)
        guard let bytes = state.record.map({ Array($0.utf8) }) else { return backend }
        guard let record = ForeignRecord(bytes: bytes), let address = record.address else {
            throw refused("read record", "the record of the container cannot be read", code: .failedPrecondition)
        }
        backend.written = bytes
        backend.input = descriptors[inputName]
        for (id, process) in processes {
            backend.held[process.pid] = process.pidfd
            if !id.isEmpty { backend.execs[process.pid] = id }
        }
        do throws(BackendError) { backend.shim = try ForeignShim(record.program, at: address) } catch
            where [.connectionRefused, .noEntry].contains(error.errno)
        {
            // It has died as well: its container is ended as soon as there is somebody to see that.
        }
        return backend
    }

    private static func refused(_ operation: String, _ detail: String, code: ErrorCode) -> BackendError {
        .refused(stage: "upgrade", operation: operation, code: code, detail: detail)
    }
}
