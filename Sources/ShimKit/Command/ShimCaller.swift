import Kernel
import ShimProtocol
import SwiftProtobuf

/// A connection of a command to a living shim: calls one after the other, each within a time.
struct ShimCaller: ~Copyable {
    private let socket: Descriptor
    private var state = TTRPCClientConnection()

    init(path: String) throws(KernelError) {
        socket = try UnixSocket.connect(path)
    }

    /// Calls a method of the Task service and waits for its answer, whatever that is.
    ///
    /// - Returns: False when there was no answer within the time, so that further calls are of no use.
    mutating func call(_ method: TaskMethod, _ request: some Message, within time: Duration) -> Bool {
        guard
            let stream = try? state.call(
                service: ServiceName.taskV2,
                method: method.rawValue,
                payload: request.bytes,
                timeout: time
            )
        else {
            return false
        }
        let deadline = Clock.monotonic.now + time
        // Every failure of the connection means the same here: no answer.
        guard (try? socket.writeAll(state.takeOutput())) != nil else {
            return false
        }
        while true {
            let left = deadline - Clock.monotonic.now
            guard left > .zero, let ready = try? socket.poll(for: .readable, timeout: left), !ready.isEmpty,
                let bytes = try? socket.read(upTo: 16 << 10), !bytes.isEmpty
            else {
                return false
            }
            if state.receive(bytes).contains(where: { $0.streamID == stream }) {
                return true
            }
        }
    }
}
